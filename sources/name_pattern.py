"""A regular expression, looked for in the names of files.

An expression can take for ever on a short name, and nothing interrupts it, so a process of its own does the matching.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from vouch.sources.errors import SourceError

MATCHING_S = 60.0
"""For all names together: 100,000 take a tenth of a second."""
MOST_LETTERS = 500
"""Of an expression."""
PROGRAM = """
import json, re, sys
pattern, names = json.load(sys.stdin)
expression = re.compile(pattern)
found = [expression.search(name) for name in names]
json.dump([one and [one[0], *one.groups()] for one in found], sys.stdout)
"""
Match = list[str | None]
"""All that was found, and then what each group found; None for a group that took no part."""


def groups_in(pattern: str) -> int:
    """How many groups an expression has.

    Raises:
        ValueError: it is no regular expression, or a very long one.
    """
    if len(pattern) > MOST_LETTERS:
        raise ValueError(f"expected a regular expression of at most {MOST_LETTERS} letters")
    try:
        return re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as err:
        raise ValueError(f"expected a regular expression ({err})") from err


def matches_in(flag: str, pattern: str, paths: Sequence[str], seconds: float = MATCHING_S) -> list[Match | None]:
    """What is found in each path, None where nothing is.

    Args:
        flag: the setting that has the expression, for messages.
        pattern: it is looked for in a file's name, or in the whole path where it has a slash itself.
        paths: with `/` between folders.
        seconds: how long all of them may take.

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
            f"{flag} {pattern} takes longer than {seconds:,.0f} s on {len(names):,} names; expected one that "
            "does not repeat what repeats, such as (a+)+"
        ) from err
    except subprocess.CalledProcessError as err:
        raise SourceError(f"{flag} {pattern} cannot be looked for in {len(names):,} names; try another") from err
    found: list[Match | None] = json.loads(done.stdout)
    return found
