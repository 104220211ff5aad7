"""How a Conveyor service lives: bus, lifecycle, settings, logs, health, metrics."""
