"""Labels from file names, by a regular expression: `cat.0.png` with `^([a-z]+)` gives cat."""

import re
from collections import Counter
from collections.abc import Sequence

from vouch.sources.name_pattern import MATCHING_S, groups_in, matches_in

USUAL = (r"^(\D+?)[ ._(-]*\d", r"^([^._-]+)[._-]", r"[._-](\D+)\.\w+$")
"""Expressions that are tried for a flat folder: cat.0.png and Maine_Coon_12.jpg, 7_0001.png, 0001-cat.png."""


def check_pattern(pattern: str) -> None:
    """Checks an expression.

    Raises:
        ValueError: it is not a regular expression with one group.
    """
    if groups_in(pattern) != 1:
        raise ValueError(r"expected a regular expression with one group, the label, such as ^([a-z]+)\.")


def labels_in(pattern: str, paths: Sequence[str], seconds: float = MATCHING_S) -> list[str | None]:
    """The label in each path, or None.

    Args:
        pattern: has one group. The other arguments and the errors are those of `matches_in`.
    """
    found = matches_in("--label-from", pattern, paths, seconds)
    return [one[1].strip() or None if one and one[1] else None for one in found]


def suggestion(names: Sequence[str]) -> str:
    """A hint with an expression that finds labels in these names; empty if no usual one does.

    Args:
        names: of the files in one folder.
    """
    for pattern in USUAL:
        found = [match[1] if (match := re.search(pattern, name)) else "" for name in names]
        counts = Counter(filter(None, found))
        if 1 < len(counts) <= len(names) / 2 and counts.total() >= 0.95 * len(names):
            shown = ", ".join(f"{label} {count:,}" for label, count in counts.most_common(3))
            more = ", ..." if len(counts) > 3 else ""
            return f"--label-from '{pattern}' finds {len(counts):,} classes in their names ({shown}{more})"
    return ""
