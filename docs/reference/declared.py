"""The options of a command as its settings class declares them, in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from vouch.cli.expected import expected
from vouch.cli.flags import choices_of, flag_name, flag_of, is_switch, metavar_of, takes_several
from vouch.cli.outside import variable_of
from vouch.cli.settings import explained, settings_of


@dataclass(frozen=True)
class Declared:
    """One option or argument of a command."""

    key: str
    """Of vouch.toml."""
    variable: str
    """Of the environment."""
    on_the_command_line: str
    """`--size HxW`, `--resume`, or `BUNDLE` where there is no flag."""
    as_argument: str
    """`[DATA]`, `FILE...`; what a usage line has for it."""
    positional: bool
    takes: str
    """Kind and range of its values."""
    default: str
    """As vouch.toml has it; empty where there is none."""
    about: str


def declared(command: str) -> tuple[str, Sequence[Declared]]:
    """What the command is for, and its options in the order of its help."""
    settings = settings_of(command)
    return settings.__doc__ or "", [_one(settings.table, name, field) for name, field in explained(settings).items()]


def _one(table: str, name: str, field: FieldInfo) -> Declared:
    word = metavar_of(name, field)
    positional, several = flag_of(field).positional, takes_several(field)
    if is_switch(field):
        shown = f"{flag_name(name)}, --no-{flag_name(name)[2:]}"
    elif positional:
        shown = word if field.is_required() else f"{word}, {flag_name(name)} {word}"
    else:
        shown = f"{flag_name(name)} {word}"
    argument = word + "..." * several
    return Declared(
        name,
        variable_of(table, name),
        shown,
        argument if field.is_required() else f"[{argument}]",
        positional,
        "yes or no" if is_switch(field) else _takes(field),
        _default(field),
        field.description or "",
    )


def _takes(field: FieldInfo) -> str:
    words = expected(field).removeprefix("expected ").removeprefix("a whole number from ")
    return "one of the words" if choices_of(field) else words.removeprefix("a number from ")


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if field.is_required() or value in (None, "", ()):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
