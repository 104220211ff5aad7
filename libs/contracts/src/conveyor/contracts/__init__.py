"""What Conveyor's services say to each other: events, commands, task, pipeline, subjects, streams and codec."""
