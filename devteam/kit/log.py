"""Structured logs: one JSON line per event to standard error, with secrets masked."""

import logging
import re
import sys
from typing import Any

import structlog

_SECRET = re.compile(
    r"(?i)(bearer\s+|token[\"'=:\s]+|password[\"'=:\s]+|secret[\"'=:\s]+|://[^/\s:@]+:)[^\s\"'@,}]{6,}"
)


def mask(text: str) -> str:
    """Hide what looks like a credential; used wherever text of unknown origin leaves the process."""
    return _SECRET.sub(lambda match: f"{match.group(1)}***", text)


def mask_json(value: Any) -> Any:
    """The same for a JSON value: each text in it, read together with the name that it stands under.

    Masking the written JSON instead could take the backslash before a quote, and leave what nobody can read.
    """
    match value:
        case str():
            return mask(value)
        case list():
            return [mask_json(item) for item in value]
        case dict():
            return {key: _mask_under(key, item) for key, item in value.items()}
        case _:
            return value


def _mask_under(name: str, value: Any) -> Any:
    return mask(f"{name}={value}")[len(name) + 1 :] if isinstance(value, str) else mask_json(value)


def _mask_values(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = mask(value)
    return event


def configure_logging(process: str, *, level: int = logging.INFO) -> None:
    """Set up logging of a process; every line carries its name."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask_values,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def get_logger(name: str) -> Any:
    """A logger whose events are `snake_case` names with fields: `log.info("task_moved", to="completed")`."""
    return structlog.get_logger(name)
