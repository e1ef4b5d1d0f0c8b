"""Settings of a program: flags over environment over file over defaults, checked in one place.

A program declares one `Settings` class a command; its fields, with their defaults and docstrings, are the flags, the
variables and the keys of `vouch.toml`. Nothing else reads the command line, the environment or the file.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

SETTINGS_FILE = "vouch.toml"


@dataclass(frozen=True)
class Flag:
    """How a field looks on the command line, where its name and type do not say it.

    Args:
        metavar: the word that stands for the value in the help.
        positional: the value stands by itself, without a flag.
    """

    metavar: str | None = None
    positional: bool = False


class Settings(BaseSettings):
    """Base of a program's settings; `env_prefix` and `toml_table_header` are set by each program."""

    model_config = SettingsConfigDict(
        toml_file=SETTINGS_FILE, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags (given as arguments), then environment, then file."""
        return init_settings, env_settings, _settings_file(settings_cls)


class CommandSettings(Settings):
    """Settings that every command has."""

    json_output: Annotated[bool, Flag()] = False
    """Print one JSON object on the last line of standard output."""


AnySettings = TypeVar("AnySettings", bound=Settings)


def parse(
    settings: type[AnySettings],
    program: str,
    arguments: Sequence[str],
    epilog: str = "",
    base: Mapping[str, Any] | None = None,
) -> AnySettings:
    """The settings that these arguments, the environment and the file give.

    Args:
        base: values that stand where no flag says otherwise, over environment and file.

    Raises:
        SystemExit: 2 with one line for each wrong setting on standard error; 0 after `--help`.
    """
    parser = _parser(settings, program, epilog)
    given = vars(parser.parse_args(arguments))
    try:
        return settings(**(dict(base or {}) | given))
    except ValidationError as err:
        prefix = settings.model_config.get("env_prefix", "")
        parser.error("\n".join(_describe(settings, prefix, detail) for detail in err.errors()))
    except SettingsError as err:  # a variable that should hold a list does not
        parser.error(str(err))
    except (OSError, ValueError) as err:  # the settings file cannot be read, or is not TOML
        parser.error(f"{SETTINGS_FILE}: {err}")


def _settings_file(settings: type[BaseSettings]) -> TomlConfigSettingsSource:
    try:
        return TomlConfigSettingsSource(settings)
    except KeyError:  # the file has no table of this program
        return TomlConfigSettingsSource(settings, toml_file=None)
    except (AttributeError, TypeError) as err:
        table = ".".join(settings.model_config.get("toml_table_header", ()))
        raise ValueError(f"{table} is not a table") from err


def _parser(settings: type[Settings], program: str, epilog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        program,
        description=settings.__doc__,
        epilog=epilog,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, field in settings.model_fields.items():
        flag = next((item for item in field.metadata if isinstance(item, Flag)), Flag())
        options = _options(field, flag)
        if flag.positional:
            parser.add_argument(name, **options)
        else:
            parser.add_argument(flag_name(name), dest=name, **options)
    return parser


def flag_name(field_name: str) -> str:
    """`max_batch_size` -> `--max-batch-size`; `json_output` -> `--json`."""
    return "--json" if field_name == "json_output" else "--" + field_name.replace("_", "-")


def _options(field: FieldInfo, flag: Flag) -> dict[str, Any]:
    about = " ".join((field.description or "").split()).replace("%", "%%")
    if field.annotation is bool:
        return {"action": "store_true", "help": about}
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    metavar = "{" + ",".join(map(str, choices)) + "}" if choices else flag.metavar
    if field.default is not None and not field.is_required() and str(field.default):
        about += f" (default: {field.default})".replace("%", "%%")
    options: dict[str, Any] = {"metavar": metavar, "help": about}
    if flag.positional:
        several = get_origin(field.annotation) in (list, tuple)
        options["nargs"] = ("+" if several else None) if field.is_required() else "?"
    return options


def _describe(settings: type[Settings], prefix: str, detail: Any) -> str:
    name = str(detail["loc"][0]) if detail["loc"] else ""
    message = str(detail["msg"]).removeprefix("Value error, ")
    if name not in settings.model_fields:
        return message
    value = detail["input"]
    got = "" if isinstance(value, dict) else f", got {str(value) if isinstance(value, Path) else value!r}"
    return f"{flag_name(name)} (or {(prefix + name).upper()}): {message}{got}"
