"""How things look: pure functions from tasks and events to tables, lines and JSON."""
