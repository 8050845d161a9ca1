"""Logs: one JSON object per line on stderr, with the build and the request that the line belongs to."""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

_bound: ContextVar[Mapping[str, str]] = ContextVar("taor_log_fields", default=MappingProxyType({}))

# What every LogRecord has; anything beyond came in through `extra=`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def bind(**fields: str) -> None:
    """Add fields (`build_id=…`) to every later log line of this task and of the tasks that it starts."""
    _bound.set({**_bound.get(), **fields})


def bound(name: str) -> str | None:
    """The value bound to a field in this task, or None."""
    return _bound.get().get(name)


# They tell every request, and a build makes thousands.
_CHATTY = ("httpx", "httpx2")


def configure_logging(service: str, *, level: int = logging.INFO) -> None:
    """Send all logs of the process to stderr as JSON lines; called once, by main."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, service, logger, message, bound and extra fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; values that JSON does not know are shown as text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_bound.get(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
