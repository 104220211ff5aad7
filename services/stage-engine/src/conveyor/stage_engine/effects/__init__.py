"""Effects: what Conveyor does to the world, one queue a target, safe to repeat, in order for each task."""
