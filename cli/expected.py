"""The values that a setting accepts, in words: the type of its field and its bounds."""

from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from vouch.cli.flags import choices_of, takes_several

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
}


def expected(field: FieldInfo) -> str:
    """`expected a whole number from 1 to 50`."""
    if choices := choices_of(field):
        return "expected " + (", ".join(choices[:-1]) + " or " + choices[-1] if len(choices) > 1 else choices[0])
    if takes_several(field):
        return "expected a list"
    kind = next(filter(None, map(KINDS.get, [field.annotation, *get_args(field.annotation)])), "another value")
    bounds = {
        name: value
        for item in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(item, name, None)) is not None
    }
    return f"expected {kind}{_range(bounds)}"


def _range(bounds: dict[str, float]) -> str:
    words = {name: f"{value:,}" for name, value in bounds.items()}
    if {"ge", "le"} <= words.keys():
        return f" from {words['ge']} to {words['le']}"
    signs = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", " * bool(words) + " and ".join(f"{signs[name]} {value}" for name, value in words.items())
