"""The gateway's HTTP side: webhooks in, health and figures out."""
