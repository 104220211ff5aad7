"""The heart of the runner, pure: what a run shall be, and what came of it."""
