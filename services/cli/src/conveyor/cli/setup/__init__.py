"""Setting Conveyor up: a configuration to begin with, its check, and the webhooks."""
