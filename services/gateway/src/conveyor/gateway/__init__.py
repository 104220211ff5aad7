"""Webhooks in, events out."""
