"""Finds what webhooks lost and publishes it again."""
