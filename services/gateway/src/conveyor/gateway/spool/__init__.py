"""Deliveries that wait on disk for the bus: kept before they are answered, told in order when it is back (GW-3)."""
