"""Writes the server's log: one line per event on standard error, as JSON unless that is a terminal.

    log.info("%s is served", bundle, extra=event("served", model="mnist", version=3))

is `{"time": ..., "level": "info", "event": "served", "message": "mnist version 3 is served", "model": "mnist", ...}`.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vouch.cli.printable import printable
from vouch.server.repeats import Repeats

BEGINNING = 40
"""First characters of a library's message by which a repetition is recognised; the rest may differ."""
FOR_PEOPLE = "%(asctime)s %(levelname)s %(message)s"


def start_log() -> None:
    """Makes this process write its log to standard error; to nothing if that is closed."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - takes the descriptor, so that no other file gets it
    handler = logging.StreamHandler()
    handler.setFormatter(PeopleFormatter(FOR_PEOPLE) if is_for_people() else JsonFormatter())
    handler.addFilter(Bounded())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_for_people() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def event(name: str, **fields: Any) -> dict[str, Any]:
    """The `extra` of a log record: the event's name, which never changes, and its fields.

    Args:
        fields: values for JSON; anything else becomes its text.
    """
    return {"event": {"event": name, **fields}}


class Bounded(logging.Filter):
    """Limits repeated messages of libraries to one in some seconds, because any caller may cause them. Our own messages
    are limited where they are logged.
    """

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record; adds to its message how many were left out before."""
        if record.name.split(".")[0] == "vouch":
            return True
        noted = self._repeats.note((record.name, record.levelno, str(record.msg)[:BEGINNING]))
        if noted.left_out:
            record.msg, record.args = f"{record.getMessage()}{noted.left_out_in_words}", ()
        return noted.written


class PeopleFormatter(logging.Formatter):
    """Formats a record as one line, with its traceback below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's
        return printable(super().formatException(ei), keep="\n")


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (UTC), level, event, message, the event's fields, the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a record without an event has the event "log"."""
        happened = {"event": "log", **getattr(record, "event", {})}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": happened.pop("event"),
            "message": record.getMessage(),
            **happened,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")  # the only control character left unescaped
