"""How the server's log is written: one line an event on standard error, JSON unless a person is looking at it.

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
"""Signs of a library's message by which it is known again; what follows may be different each time."""
FOR_PEOPLE = "%(asctime)s %(levelname)s %(message)s"


def start_log() -> None:
    """Has this process write its log to standard error, from now on; into nothing where that is closed."""
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - and what is opened next does not get its number
    handler = logging.StreamHandler()
    handler.setFormatter(PeopleFormatter(FOR_PEOPLE) if is_for_people() else JsonFormatter())
    handler.addFilter(Bounded())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def is_for_people() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


def event(name: str, **fields: Any) -> dict[str, Any]:
    """What is passed as `extra`: what happened, in one word that does not change, and its values.

    Args:
        fields: what JSON can hold; anything else becomes its text.
    """
    return {"event": {"event": name, **fields}}


class Bounded(logging.Filter):
    """Has libraries repeat themselves once in some seconds only: what they warn of may be any caller's doing. Our own
    records are written where they are bounded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def filter(self, record: logging.LogRecord) -> bool:
        """Adds to a message how many were left out before it."""
        if record.name.split(".")[0] == "vouch":
            return True
        noted = self._repeats.note((record.name, record.levelno, str(record.msg)[:BEGINNING]))
        if noted.left_out:
            record.msg, record.args = f"{record.getMessage()}{noted.left_out_in_words}", ()
        return noted.written


class PeopleFormatter(logging.Formatter):
    """A record on one line, and its traceback below."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's
        return printable(super().formatException(ei), keep="\n")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time (UTC), level, event, message, the event's fields, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """A record without an event is called "log"."""
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
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")  # the one sign of ASCII that JSON lets pass
