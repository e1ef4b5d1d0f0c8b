"""Figures of a run: stored row by row, and joined if a run was made in pieces."""

import json
from pathlib import Path
from typing import Any

Figures = dict[str, Any]


def earlier(path: Path, figures: Figures) -> Figures:
    """An earlier piece of a run; empty where there is none. Asked before anything is measured, which would be lost.

    Args:
        figures: of which the machine, its flags and the commit are known.

    Raises:
        SystemExit: what lies there is of another commit or machine.
    """
    if not path.exists():
        return {}
    before: Figures = json.loads(path.read_text("utf-8"))
    for key in ("machine", "flags", "commit"):
        if before.get(key) != figures[key]:
            raise SystemExit(f"{path} has another {key}: {before.get(key)}, expected {figures[key]}")
    return before


def joined(before: Figures, figures: Figures) -> Figures:
    """With the rows of an earlier piece in front, whose rounds come first."""
    if not before:
        return figures
    both = {**figures, "peers": {**before["peers"], **figures["peers"]}}
    for key in ("rows", "streams", "rest", "photographs"):
        later = 1 + max((row["round"] for row in before.get(key, [])), default=-1)
        both[key] = before.get(key, []) + [{**row, "round": row["round"] + later} for row in figures.get(key, [])]
    return both


def wrong(figures: Figures) -> list[str]:
    """A sentence for each load that is no result."""
    found = [
        f"{row['kind']}, {row['contender']}, batch {row['batch']}, {row['load']}, round {row['round'] + 1}: "
        + row["problems"]
        for row in figures["rows"]
        if row["problems"]
    ]
    others = [(row, row["way"]) for row in figures["streams"]]
    others += [(row, f"REST, {row['takes']}") for row in figures.get("rest", [])]
    others += [(row, "photographs") for row in figures["photographs"]]
    return found + [
        f"{row['contender']}, {what}, round {row['round'] + 1}: {row['problems']}"
        for row, what in others
        if row["problems"]
    ]
