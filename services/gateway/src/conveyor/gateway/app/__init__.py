"""Puts the gateway together: the only room here that knows which tracker and forge there are, and how they speak."""

from conveyor.gateway.app.composition import build, start

__all__ = ["build", "start"]
