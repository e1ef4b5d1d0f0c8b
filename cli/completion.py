"""Scripts that let a shell complete commands, options, choices and paths.

shtab generates them from a parser. A script is static: pressing TAB does not start Python.
"""

import argparse
import re
from contextlib import suppress

import shtab
from pydantic.fields import FieldInfo

from vouch.cli.flags import choices_of, help_parser, path_of
from vouch.cli.programs import COMMANDS
from vouch.cli.settings import explained, settings_of

PATHS = {"file": shtab.FILE, "folder": shtab.DIRECTORY}


def completion_script(shell: str) -> str:
    """The script for bash, zsh or fish."""
    return shtab.complete(_all_commands(), shell)


def _all_commands() -> argparse.ArgumentParser:
    """A parser of all commands whose program is installed; only for generating scripts."""
    parser = argparse.ArgumentParser("vouch", add_help=False)
    parser.add_argument("-h", "--help", action="store_true", help="Show the commands.")
    parser.add_argument("-V", "--version", action="store_true", help="Show the version.")
    commands = parser.add_subparsers()
    for name, command in COMMANDS.items():
        with suppress(ImportError):
            options = help_parser(explained(settings_of(name)), _completed)
            commands.add_parser(name, parents=[options], add_help=False, help=command.about)
    helped = commands.add_parser("help", add_help=False, help="the options of a command")
    helped.add_argument("command", choices=list(COMMANDS), help="the command")
    return parser


def _completed(action: argparse.Action, field: FieldInfo) -> None:
    """Sets the completion of an argument's value, and shortens its help to the start of the first sentence."""
    action.help = re.split(r"[.:;](?: |$)| \(", action.help or "")[0]
    if choices := choices_of(field):
        action.choices = choices
    elif path := path_of(field):
        action.complete = PATHS[path]  # type: ignore[attr-defined] # shtab reads it
