"""A table's settings from the environment and from vouch.toml, with errors and warnings about unknown names.

Of the environment, only the table's variables are checked; the file is checked as a whole.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vouch.cli.errors import WrongUsage
from vouch.cli.nearest import did_you_mean, nearest
from vouch.cli.programs import COMMANDS, TABLES

SETTINGS_FILE = "vouch.toml"
LINK = re.compile(r"(tcp|udp|sctp)://")
"""A service's address in Kubernetes' variables, and in those of Docker's links."""
OF_LINKS = re.compile(r"(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""Other variables that Kubernetes sets for each service: what follows the service's name."""


def variable_of(table: str, name: str) -> str:
    """The variable of a setting: `serve` and `max_batch_size` make `VOUCH_SERVE_MAX_BATCH_SIZE`."""
    return f"VOUCH_{table}_{name}".upper()


def read_environment(
    table: str, known: Iterable[str], removed: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """The settings in the environment, as text, and a warning for each variable of the table that is not a setting.

    Args:
        known: the settings of all commands that share the table.
        removed: settings of earlier versions, with what to do instead.
    """
    gone = {variable_of(table, name): instead for name, instead in (removed or {}).items()}
    names = {variable_of(table, name): name for name in known}
    values: dict[str, str] = {}
    warnings: list[str] = []
    for variable, value in sorted(os.environ.items()):
        if (name := names.get(variable.upper())) is not None:
            values[name] = value
        elif (instead := gone.get(variable.upper())) is not None:
            warnings.append(f"{variable} was removed and is ignored: {instead}")
        elif variable.upper().startswith(variable_of(table, "")) and not _is_link(variable, value):
            meant = nearest(variable[len(variable_of(table, "")) :], names.values())
            hint = f"; did you mean {variable_of(table, meant)}?" if meant else ""
            warnings.append(f"{variable} is not a setting and is ignored{hint}")
    return values, warnings


def as_list(variable: str, text: str) -> list[Any]:
    """A variable's value as a list. Raises WrongUsage if it is not one."""
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise WrongUsage(f'{variable}: expected a list in JSON such as ["one", "two"], got {text!r}')
    return values


def link_remedy(variable: str, value: object) -> str:
    """What to do if Kubernetes has set this variable for a service; empty if it has not."""
    if not (isinstance(value, str) and LINK.match(value) and variable.endswith("_PORT")):
        return ""
    service = variable.removesuffix("_PORT").lower().replace("_", "-")
    return (
        f"; Kubernetes sets this for a service named {service}: set enableServiceLinks: false in the pod, or give the "
        "service another name"
    )


def read_file(
    table: str,
    known: Iterable[str],
    elsewhere: Callable[[str], list[str]],
    removed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The table's settings in vouch.toml of the working directory; none if there is no such file.

    Args:
        known: the settings of all commands that share the table.
        elsewhere: gives the other tables that have a setting of this name; called for an unknown setting.
        removed: settings of earlier versions, with what to do instead.

    Raises:
        WrongUsage: the file cannot be read, is not TOML, or has an unknown table or setting.
    """
    try:
        content = tomllib.loads(Path(SETTINGS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise WrongUsage(f"{SETTINGS_FILE} cannot be read: {err.strerror}") from err
    except ValueError as err:
        raise WrongUsage(f"{SETTINGS_FILE} is not TOML: {err}") from err
    tables = dict.fromkeys([table, *TABLES])
    wrong = [_wrong_table(name, value, tables) for name, value in content.items()]
    values = content.get(table, {})
    if isinstance(values, dict):
        wrong += [
            f"{SETTINGS_FILE}: [{table}] {name} was removed: {removed[name]}"
            if removed and name in removed
            else _wrong_key(table, name, known, elsewhere)
            for name in values
            if name not in known
        ]
    if lines := [line for line in wrong if line]:
        raise WrongUsage(*lines)
    return dict(values)


def _is_link(variable: str, value: str) -> bool:
    upper = variable.upper()
    return bool(OF_LINKS.fullmatch(upper) or (upper.endswith("_PORT") and LINK.match(value)))


def _wrong_table(name: str, value: object, tables: Iterable[str]) -> str:
    """The error of a name at the file's top level; empty if it is one of the tables."""
    if name in tables:
        return "" if isinstance(value, dict) else f"{SETTINGS_FILE}: {name} is not a table; expected [{name}]"
    if not isinstance(value, dict):
        expected = ", ".join(f"[{table}]" for table in tables)
        return f"{SETTINGS_FILE}: {name} is outside of all tables; expected it below one of {expected}"
    if name in COMMANDS:
        return f"{SETTINGS_FILE}: unknown table [{name}]; vouch {name} reads [{COMMANDS[name].table}]"
    meant = nearest(name, tables)
    return f"{SETTINGS_FILE}: unknown table [{name}]" + (f"; did you mean [{meant}]?" if meant else "")


def _wrong_key(table: str, name: str, known: Iterable[str], elsewhere: Callable[[str], list[str]]) -> str:
    others = " or ".join(f"[{other}]" for other in elsewhere(name))
    belongs = f"; it belongs to {others}" if others else ""
    return f"{SETTINGS_FILE}: unknown setting {name} in [{table}]{belongs}{did_you_mean(name, known)}"
