"""The log: JSON for machines, a readable line for people."""

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from vouch.server.logs import JsonFormatter, event


def record(message: str, *values: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("vouch.server", logging.WARNING, __file__, 1, message, values, None)
    vars(made).update(fields)
    return made


def written(made: logging.LogRecord) -> dict[str, object]:
    line = JsonFormatter().format(made)
    assert "\n" not in line
    found: dict[str, object] = json.loads(line)
    return found


def test_an_event_is_a_line_of_json() -> None:
    line = written(record("%s is served", "mnist version 3", **event("served", model="mnist", version=3)))
    assert datetime.fromisoformat(str(line.pop("time"))).utcoffset() is not None
    assert line == {
        "level": "warning",
        "event": "served",
        "message": "mnist version 3 is served",
        "model": "mnist",
        "version": 3,
    }


def test_a_line_is_ascii_whatever_the_locale() -> None:
    """Standard error of a service often is, and what it cannot write would not be JSON any more."""
    assert JsonFormatter().format(record("größte Ähnlichkeit")).isascii()
    assert written(record("größte Ähnlichkeit"))["message"] == "größte Ähnlichkeit"


def test_what_is_not_one_of_ours_is_a_line_too() -> None:
    assert written(record("a library's\nown words"))["event"] == "log"


def test_a_traceback_stays_within_its_line() -> None:
    try:
        raise ValueError('the "reason"\nin two lines')
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    text = str(written(made)["exception"])
    assert text.startswith("Traceback")
    assert text.endswith('ValueError: the "reason"\nin two lines')


@pytest.mark.parametrize("terminal", [False, True])
def test_who_looks_decides(terminal: bool) -> None:
    """A process whose standard error is a terminal, or not."""
    code = (
        "import sys, logging; from vouch.server.logs import start_log; "
        f"sys.stderr.isatty = lambda: {terminal}; start_log(); logging.getLogger('vouch.server').info('hello')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stderr
    if terminal:
        assert said.endswith(" INFO hello\n")
    else:
        assert json.loads(said)["message"] == "hello"
