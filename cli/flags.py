"""The command line of a settings class: reading it, its help, and the names of its flags.

argparse reads the flags and formats the help. Values are checked later, in the same way for all sources.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from vouch.cli.errors import WrongUsage
from vouch.cli.nearest import did_you_mean

Fields = Mapping[str, FieldInfo]
Noted = Callable[[argparse.Action, FieldInfo], None]
FOLDERS = ("BUNDLE", "DIR", "FOLDER")
"""Names of values in the help that are folders."""


@dataclass(frozen=True)
class Flag:
    """How a field looks on the command line, as far as its name and type do not define it.

    Args:
        metavar: the name of the value in the help.
        positional: the value may be given without a flag. If it has a default, the flag exists too.
        path: the value may be a path, although its type is text.
    """

    metavar: str | None = None
    positional: bool = False
    path: bool = False


def flag_of(field: FieldInfo) -> Flag:
    """The `Flag` declared with the field's type."""
    return next((item for item in field.metadata if isinstance(item, Flag)), Flag())


def flag_name(field_name: str) -> str:
    """`max_batch_size` -> `--max-batch-size`; `json_output` -> `--json`."""
    return "--json" if field_name == "json_output" else "--" + field_name.replace("_", "-")


def metavar_of(name: str, field: FieldInfo) -> str:
    """The name of a field's value in the help."""
    choices = choices_of(field)
    return "{" + ",".join(choices) + "}" if choices else flag_of(field).metavar or name.upper()


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """The values of a field that allows only some words; empty for other fields."""
    kinds = (field.annotation, *get_args(field.annotation))  # also in `Literal[...] | None`
    return next((tuple(map(str, get_args(kind))) for kind in kinds if get_origin(kind) is Literal), ())


def path_of(field: FieldInfo) -> Literal["file", "folder"] | None:
    """The kind of path that the field's value is; None if it is not a path. A folder may also stand for a file."""
    if Path not in _types(field.annotation) and not flag_of(field).path:
        return None
    return "folder" if flag_of(field).metavar in FOLDERS else "file"


def _types(annotation: Any) -> list[Any]:
    """A type and the types in it, such as those of list[Path] | None."""
    return [annotation, *(inner for one in get_args(annotation) for inner in _types(one))]


def is_switch(field: FieldInfo) -> bool:
    """Whether it is set by `--name` or `--no-name`; with neither, its default counts, which may be None."""
    return field.annotation is bool or set(get_args(field.annotation)) == {bool, type(None)}


def takes_several(field: FieldInfo) -> bool:
    """Whether the field is a list."""
    return get_origin(field.annotation) in (list, tuple)


def read_words(fields: Fields, words: Sequence[str], removed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The values on the command line, as text, by field name; flags and positional values in any order.

    Args:
        removed: settings of earlier versions, with what to do instead.

    Raises:
        WrongUsage: a flag is unknown, lacks a value or has one too many, or there are too many words without a flag.
    """
    before, after = list(words), []
    if "--" in before:  # words after it are not flags
        at = before.index("--")
        before, after = before[:at], before[at + 1 :]
    parser = _parser(fields)
    parser.add_argument("_words", nargs="*")
    try:
        found, unknown = parser.parse_known_intermixed_args(before)
    except argparse.ArgumentError as err:
        wrong = "expected a value" if "expected" in err.message else "takes no value"
        raise WrongUsage(f"{err.argument_name}: {wrong}") from err
    if unknown:
        _refuse_unknown(fields, unknown[0], removed or {})
    given = vars(found)
    loose = [*given.pop("_words", []), *after]
    if loose:
        name, value = _positional(fields, loose)
        if given.get(name, value) != value:
            raise WrongUsage(f"{loose[0]!r} and {flag_name(name)} {given[name]!r} differ; expected one of them")
        given[name] = value
    return given


def help_text(fields: Fields, program: str, about: str, epilog: str) -> str:
    """The text of `--help`."""
    words = [metavar_of(name, field) + "..." * takes_several(field) for name, field in _positionals(fields)]
    optional = [not field.is_required() for _, field in _positionals(fields)]
    shown = [f"[{word}]" if may_miss else word for word, may_miss in zip(words, optional, strict=True)]
    parser = help_parser(fields)
    parser.prog, parser.description, parser.epilog = program, about, epilog
    parser.usage = " ".join([program, *shown, "[OPTION ...]"])
    return parser.format_help()


def help_parser(fields: Fields, noted: Noted = lambda action, field: None) -> argparse.ArgumentParser:
    """A parser of all arguments, `--help` included; only for help and completion.

    Args:
        noted: called with each argument and its field.
    """
    parser = _parser(fields, noted)
    for name, field in _positionals(fields):
        several = "*" if takes_several(field) else None
        noted(parser.add_argument(name, nargs=several, metavar=metavar_of(name, field), help=_about(field)), field)
    parser.add_argument("-h", "--help", action="store_true", help="Show this.")
    return parser


def _parser(fields: Fields, noted: Noted = lambda action, field: None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
    )
    for name, field in fields.items():
        flag, about = flag_name(name), _about(field)
        if is_switch(field):
            noted(parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=about), field)
        elif not (flag_of(field).positional and field.is_required()):
            word, action = metavar_of(name, field), "append" if takes_several(field) else "store"
            about = f"The same as {word}." if flag_of(field).positional else about
            noted(parser.add_argument(flag, dest=name, action=action, metavar=word, help=about), field)
    return parser


def _about(field: FieldInfo) -> str:
    about = " ".join((field.description or "").split())
    if not (field.is_required() or field.default in (None, "", ()) or field.default is False):
        about += f" (default: {'yes' if field.default is True else field.default})"
    return about.replace("%", "%%")


def _positionals(fields: Fields) -> list[tuple[str, FieldInfo]]:
    return [(name, field) for name, field in fields.items() if flag_of(field).positional]


def _positional(fields: Fields, loose: Sequence[str]) -> tuple[str, Any]:
    """Words without a flag, as the value of the one field that takes them."""
    places = _positionals(fields)
    if not places:
        raise WrongUsage(f"unexpected argument {loose[0]!r}: this command takes only options")
    (name, field) = places[0]
    if takes_several(field):
        return name, list(loose)
    if len(loose) > 1:
        raise WrongUsage(f"expected one {metavar_of(name, field)}, got {len(loose)}: {' '.join(loose[:5])}")
    return name, loose[0]


def _refuse_unknown(fields: Fields, word: str, removed: Mapping[str, str]) -> None:
    flag = word.partition("=")[0]
    for name, instead in removed.items():
        if flag == flag_name(name):
            raise WrongUsage(f"{flag} was removed: {instead}")
    names = [flag_name(name) for name in fields]
    opposites = [f"--no-{flag_name(name)[2:]}" for name, field in fields.items() if is_switch(field)]
    raise WrongUsage(f"unknown option {flag}{did_you_mean(flag, [*names, *opposites, '--help'])}")
