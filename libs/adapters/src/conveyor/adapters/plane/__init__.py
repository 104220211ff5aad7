"""Plane: the tracker's REST client, its status names, and the parser of its webhooks (`plane.webhook`)."""

from conveyor.adapters.plane.limiter import Limiter, RateLimiter, Share, shared_limiter
from conveyor.adapters.plane.refusals import (
    DuplicateError,
    InvalidKeyError,
    NoObjectError,
    NoPageError,
    NoPermissionError,
)
from conveyor.adapters.plane.status_names import STATUSES, is_terminal, key_of, own_state, resolve_state
from conveyor.adapters.plane.text import html_of, text_of
from conveyor.adapters.plane.tracker import PlaneTracker

__all__ = [
    "STATUSES",
    "DuplicateError",
    "InvalidKeyError",
    "Limiter",
    "NoObjectError",
    "NoPageError",
    "NoPermissionError",
    "PlaneTracker",
    "RateLimiter",
    "Share",
    "html_of",
    "is_terminal",
    "key_of",
    "own_state",
    "resolve_state",
    "shared_limiter",
    "text_of",
]
