"""`conveyor up`: one process tree of nats-server and the four services."""
