"""The `conveyor` command: up, demo, and the operator's commands."""
