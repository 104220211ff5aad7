"""Structured logs: JSON for machines, pretty on a terminal, with task, run and trace ids and no secret in them."""

import contextlib
import io
import logging
import sys
from collections.abc import Collection, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, TextIO, cast

import structlog

from conveyor.servicekit.secret import MASK
from conveyor.servicekit.sections import LogSettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SHORTEST_MASKED = 6
"""A shorter secret would blot out ordinary words."""


def configure(settings: LogSettings, service: str, secrets: Collection[str] = ()) -> None:
    """Set up logging for this process; the texts in `secrets` show as `***` wherever they turn up.

    Records of the standard library (uvicorn, httpx) go the same way, from warning upwards.
    """
    is_pretty = settings.format == "pretty" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name(service),
    ]
    last: list[Any] = [structlog.processors.format_exc_info, _mask(secrets)]
    if is_pretty:
        last.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    else:
        last.append(structlog.processors.JSONRenderer(default=str))
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Unbreakable(sys.stderr))),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.WARNING, _LEVELS[settings.level]))


def bind(**ids: str) -> AbstractContextManager[Any]:
    """Add these ids (task, run_id, trace_id, …) to every record inside the `with`, also in what it awaits."""
    return structlog.contextvars.bound_contextvars(**ids)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one part of a service."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


class _Unbreakable(io.TextIOBase):
    """Passes on what is written until nobody reads it any more: a log without a reader must not stop the work.

    It did: with its terminal gone, a service told to stop failed to log that it was stopping, and lived on.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()


def _name(service: str) -> Any:
    def add(_logger: object, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        record.setdefault("service", service)
        return record

    return add


def _mask(secrets: Collection[str]) -> Any:
    texts = sorted({text for text in secrets if len(text) >= _SHORTEST_MASKED}, key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in texts:
            text = text.replace(secret, MASK)
        return text

    def mask(_logger: object, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        for name, value in record.items():
            if isinstance(value, str):
                record[name] = hide(value)
            elif isinstance(value, BaseException) or (isinstance(value, (dict, list, tuple)) and name[0] != "_"):
                record[name] = hide(str(value)) if texts else value
        return record

    return mask
