"""Labels from the names of files, by a regular expression: `cat.0.png` with `^([a-z]+)` gives cat.

An expression can take for ever on a short name, and nothing interrupts it, so a process of its own does the matching.
"""

import json
import re
import subprocess
import sys
from collections import Counter
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
json.dump([one and one[1] for one in found], sys.stdout)
"""
USUAL = (r"^(\D+?)[ ._(-]*\d", r"^([^._-]+)[._-]", r"[._-](\D+)\.\w+$")
"""Expressions that are tried on a flat folder: cat.0.png and Maine_Coon_12.jpg, 7_0001.png, 0001-cat.png."""


def check_pattern(pattern: str) -> None:
    """
    Raises:
        ValueError: it is no regular expression, or not of one group.
    """
    if len(pattern) > MOST_LETTERS:
        raise ValueError(f"expected a regular expression of at most {MOST_LETTERS} letters")
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as err:
        raise ValueError(f"expected a regular expression ({err})") from err
    if groups != 1:
        raise ValueError(r"expected a regular expression with one group, which is the label, such as ^([a-z]+)\.")


def labels_in(pattern: str, paths: Sequence[str], seconds: float = MATCHING_S) -> list[str | None]:
    """The label in each path, None where there is none.

    Args:
        pattern: of one group; it is looked for in a file's name, or in the whole path where it has a slash itself.
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
            f"--label-from {pattern} takes longer than {seconds:,.0f} s on {len(names):,} names; expected one that "
            "does not repeat what repeats, such as (a+)+"
        ) from err
    except subprocess.CalledProcessError as err:
        raise SourceError(f"--label-from {pattern} cannot be looked for in {len(names):,} names; try another") from err
    labels: list[str | None] = [label.strip() or None if label else None for label in json.loads(done.stdout)]
    return labels


def suggestion(names: Sequence[str]) -> str:
    """In words, an expression that finds labels in such names and what they are; empty where none does.

    Args:
        names: of files in one folder.
    """
    for pattern in USUAL:
        found = [match[1] if (match := re.search(pattern, name)) else "" for name in names]
        counts = Counter(filter(None, found))
        if 1 < len(counts) <= len(names) / 2 and counts.total() >= 0.95 * len(names):
            shown = ", ".join(f"{label} {count:,}" for label, count in counts.most_common(3))
            more = ", ..." if len(counts) > 3 else ""
            return f"--label-from '{pattern}' finds {len(counts):,} classes in their names ({shown}{more})"
    return ""
