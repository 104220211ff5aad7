"""The heart of the gateway: what a delivery means to us. Pure."""
