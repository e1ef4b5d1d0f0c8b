"""Searches a regular expression in file names.

An expression can take forever on a short name and cannot be interrupted, so a separate process does the matching.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from vouch.sources.errors import SourceError

MATCHING_S = 60.0
"""Time limit for all names together: 100,000 take 0.1 s."""
MOST_LETTERS = 500
"""The most characters of an expression."""
PROGRAM = """
import json, re, sys
pattern, names = json.load(sys.stdin)
expression = re.compile(pattern)
found = [expression.search(name) for name in names]
json.dump([one and [one[0], *one.groups()] for one in found], sys.stdout)
"""
Match = list[str | None]
"""The whole match, then each group's; None for a group that did not match."""


def groups_in(pattern: str) -> int:
    """The number of groups in an expression.

    Raises:
        ValueError: it is not a regular expression, or a very long one.
    """
    if len(pattern) > MOST_LETTERS:
        raise ValueError(f"expected a regular expression of at most {MOST_LETTERS} letters")
    try:
        return re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as err:
        raise ValueError(f"expected a regular expression ({err})") from err


def matches_in(flag: str, pattern: str, paths: Sequence[str], seconds: float = MATCHING_S) -> list[Match | None]:
    """The match in each path, or None.

    Args:
        flag: the setting with the expression, for messages.
        pattern: searched in a file's name, or if it has a slash, in the whole path.
        paths: with `/` between folders.
        seconds: time limit for all of them.

    Raises:
        SourceError: it takes longer.
    """
    names = list(paths) if "/" in pattern else [path.rpartition("/")[2] for path in paths]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", PROGRAM],
            input=json.dumps([pattern, names]),
            stdout=subprocess.PIPE,
            timeout=seconds,
            check=True,
            encoding="ascii",
        )
    except subprocess.TimeoutExpired as err:
        raise SourceError(
            f"{flag} {pattern} takes longer than {seconds:,.0f} s on {len(names):,} names; avoid nested repetitions "
            "such as (a+)+"
        ) from err
    except subprocess.CalledProcessError as err:
        raise SourceError(f"{flag} {pattern} failed on {len(names):,} names; try another expression") from err
    found: list[Match | None] = json.loads(done.stdout)
    return found
