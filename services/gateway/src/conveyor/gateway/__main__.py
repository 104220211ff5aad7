"""`python -m conveyor.gateway --config conveyor.toml`: webhooks in, events out."""

from conveyor.gateway.app import start
from conveyor.gateway.settings import Settings
from conveyor.servicekit.lifecycle import service_main

if __name__ == "__main__":
    service_main("gateway", Settings, start)
