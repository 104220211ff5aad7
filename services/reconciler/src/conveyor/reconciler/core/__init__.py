"""The heart of the reconciler: tasks and what was observed in, the events that got lost out. Pure."""
