"""Every command with its arguments and options, from the settings classes, and the exit codes."""

from collections.abc import Iterator

from docs.reference import markdown
from docs.reference.declared import Declared, declared
from docs.reference.markdown import code, plain, prose, table
from vouch.cli.exit_codes import EXIT_CODES
from vouch.cli.programs import COMMANDS

ABOUT = """
`vouch help COMMAND` shows the same in a terminal. [settings.md](settings.md) has the environment variable and the key
of `vouch.toml` for each option. A range such as "1 to 50" is what the option takes. With `--json`, every command prints
one JSON object on the last line of standard output.
"""


def page() -> str:
    """commands.md."""
    return markdown.page("Commands", *_blocks())


def _blocks() -> Iterator[str]:
    yield prose(ABOUT)
    yield table(
        ["command", "what it does"],
        ([f"[vouch {name}](#vouch-{name})", plain(command.about)] for name, command in COMMANDS.items()),
    )
    for name in COMMANDS:
        yield from _command(name)
    yield "## Exit codes"
    yield table(["code", "means"], ([str(int(number)), text] for number, text in EXIT_CODES.items()))


def _command(name: str) -> Iterator[str]:
    about, options = declared(name)
    yield f"## vouch {name}"
    yield prose(about)
    arguments = [one for one in options if one.positional]
    yield "    " + " ".join(["vouch", name, *(one.as_argument for one in arguments), "[OPTION ...]"])
    yield table(["option", "takes", "default", "what it does"], map(_row, options))


def _row(one: Declared) -> list[str]:
    default = {"true": "yes", "false": "no"}.get(one.default, code(one.default))
    return [code(one.on_the_command_line), plain(one.takes), default, plain(one.about)]
