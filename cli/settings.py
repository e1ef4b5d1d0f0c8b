"""Settings of a program: flags over environment over file over defaults, checked in one place.

A program declares one `Settings` class per command. Its fields, with defaults and docstrings, define the flags, the
variables and the keys of `vouch.toml`. Nothing else reads the command line, the environment or the file.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from importlib import import_module
from inspect import get_annotations
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from vouch.cli.errors import WrongUsage
from vouch.cli.exit_codes import WRONG_USAGE
from vouch.cli.expected import expected
from vouch.cli.explained import sentences
from vouch.cli.flags import (
    Fields,
    Flag,
    choices_of,
    flag_name,
    flag_of,
    help_text,
    is_switch,
    metavar_of,
    read_words,
    takes_several,
)
from vouch.cli.nearest import did_you_mean
from vouch.cli.outside import SETTINGS_FILE, as_list, link_remedy, read_environment, read_file, variable_of
from vouch.cli.printable import print_error
from vouch.cli.programs import COMMANDS, TABLES

__all__ = ["SETTINGS_FILE", "CommandSettings", "Flag", "Settings", "explained", "flag_name", "parse", "settings_of"]

SHOWN = 100
"""A message shows at most this many characters of a wrong value."""


class Settings(BaseModel):
    """Base of a program's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    table: ClassVar[str]
    """The table of vouch.toml; variables begin with VOUCH_ and this name. Commands of a program may share one."""
    removed: ClassVar[Mapping[str, str]] = {}
    """Settings of earlier versions, with what to do instead; shown to users who still set one."""

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_none(cls, value: Any, info: ValidationInfo) -> Any:
        """An empty value means None for a setting whose default is None: `VOUCH_SERVE_TLS_KEY=`."""
        field = cls.model_fields[info.field_name or ""]
        return None if value == "" and field.default is None else value


class CommandSettings(Settings):
    """Settings that every command has."""

    json_output: bool = False
    """Print one JSON object on the last line of standard output."""


class CompletionSettings(CommandSettings):
    """Print a script that lets a shell complete commands, options, choices and paths."""

    table: ClassVar = "completion"

    shell: Annotated[Literal["bash", "zsh", "fish"], Flag("SHELL", positional=True)]
    """The shell."""


AnySettings = TypeVar("AnySettings", bound=Settings)


def warn(message: str) -> None:
    """Prints a warning as one line on standard error."""
    print_error(f"warning: {message}")


def parse(
    settings: type[AnySettings],
    program: str,
    arguments: Sequence[str],
    epilog: str = "",
    base: Mapping[str, Any] | None = None,
    warned: Callable[[str], None] = warn,
) -> AnySettings:
    """The settings from these arguments, the environment and the file.

    Args:
        base: values that a flag overrides; they override environment and file.
        warned: called with each warning, a sentence.

    Raises:
        SystemExit: 2 after one line per wrong setting and one that names the help, on standard error; 0 after `--help`.
    """
    fields = _in_order(settings)
    if {"-h", "--help"} & set(takewhile(lambda word: word != "--", arguments)):
        epilog = _other_ways(settings.table, fields) + epilog
        print(help_text(explained(settings), program, settings.__doc__ or "", epilog), end="")
        raise SystemExit(0)
    try:
        flags = read_words(fields, arguments, settings.removed)
        known = _settings_of(settings.table)
        file = read_file(settings.table, known, _tables_with, settings.removed)
        environment, warnings = read_environment(settings.table, known, settings.removed)
        for warning in warnings:
            warned(warning)
        return _checked(settings, flags, dict(base or {}), environment, file)
    except WrongUsage as err:
        _refuse(program, err.lines)


def settings_of(command: str) -> type[Settings]:
    """The class that declares a command's options: `predict` has `PredictSettings`, in its program's settings.py.

    Raises:
        ImportError: the program is not installed.
    """
    module = import_module(f"vouch.{COMMANDS[command].program}.settings")
    found: type[Settings] = getattr(module, f"{command.title()}Settings")
    return found


def explained(settings: type[Settings]) -> Fields:
    """Its fields in the order of the help, with the docstrings below them."""
    said, fields = sentences(settings), {name: copy(field) for name, field in _in_order(settings).items()}
    for name, field in fields.items():
        field.description = said.get(name)
    return fields


def _refuse(program: str, lines: Sequence[str]) -> NoReturn:
    for line in lines:
        print_error(f"{program}: error: {line}")
    print_error(f"{program} --help shows the options")
    raise SystemExit(WRONG_USAGE)


def _checked(
    settings: type[AnySettings],
    flags: Mapping[str, Any],
    base: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Mapping[str, Any],
) -> AnySettings:
    """The settings. For each field, the first of these sources that has it decides."""
    table, fields = settings.table, settings.model_fields
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for name, field in fields.items():
        variable = variable_of(table, name)
        if name in flags or name in base:
            values[name] = flags[name] if name in flags else base[name]
            places[name] = f"{flag_name(name)} (or {variable})"
        elif name in environment:
            text = environment[name]
            values[name] = as_list(variable, text) if takes_several(field) else text
            places[name] = variable
        elif name in file:
            values[name] = file[name]
            places[name] = f"{SETTINGS_FILE}: [{table}] {name}"
            if isinstance(file[name], bool) and not is_switch(field):  # pydantic would accept true as 1
                said = str(file[name]).lower()
                raise WrongUsage(f"{places[name]}: {expected(field)}, got {said}")
    try:
        return settings(**values)
    except ValidationError as err:
        lines = [_describe(fields, places, detail) for detail in err.errors(include_url=False)]
        raise WrongUsage(*dict.fromkeys(lines)) from err


def _describe(fields: Fields, places: Mapping[str, str], detail: Any) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    own_words = str(detail["msg"]).removeprefix("Value error, ")
    if name not in fields:  # an error about several settings together
        return own_words
    if detail["type"] == "missing":
        return f"{metavar_of(name, fields[name])} is missing"
    field, value = fields[name], detail["input"]
    words = own_words if detail["type"] == "value_error" else expected(field)
    words, question, meant = (words + did_you_mean(str(value), choices_of(field))).partition("; did you mean ")
    place = places.get(name, flag_name(name))  # a default value
    return f"{place}: {words}, got {_shown(field, value)}{question}{meant}{link_remedy(place, value)}"


def _shown(field: FieldInfo, value: Any) -> str:
    """A wrong value in a message; the values of a list are joined with commas."""
    if takes_several(field) and isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    shown = repr(str(value) if isinstance(value, Path) else value)
    return shown if len(shown) <= SHOWN else shown[:SHOWN] + "..."


def _in_order(settings: type[Settings]) -> Fields:
    """Its fields: a command's own before the shared ones."""
    names = [name for one in settings.__mro__ for name in get_annotations(one) if name in settings.model_fields]
    return {name: settings.model_fields[name] for name in dict.fromkeys(names)}


def _other_ways(table: str, fields: Fields) -> str:
    example = next(name for name, field in fields.items() if not flag_of(field).positional)
    return (
        f"Options can also be set by environment variables ({variable_of(table, example)} for\n"
        f"{flag_name(example)}) or below [{table}] in {SETTINGS_FILE} ({example} = ...). Options override variables,\n"
        "and variables override the file.\n\n"
    )


def _settings_of(table: str) -> set[str]:
    """All settings of the loaded commands that share a table. A program has them in one file."""
    classes, names = [Settings], set()
    while classes:
        one = classes.pop()
        classes += one.__subclasses__()
        names |= set(one.model_fields) if getattr(one, "table", None) == table else set()
    return names


def _tables_with(name: str) -> list[str]:
    """The tables of vouch.toml that have this setting, without those whose program is not installed."""
    for program in set(TABLES.values()):
        with suppress(ImportError):
            import_module(f"vouch.{program}.settings")
    return [table for table in TABLES if name in _settings_of(table)]
