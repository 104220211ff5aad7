"""A scripted stand-in for a coding agent's command line; standard library only, so that it starts at once."""
