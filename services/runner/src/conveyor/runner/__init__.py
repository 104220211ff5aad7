"""Run commands in, agents spawned, one outcome each."""
