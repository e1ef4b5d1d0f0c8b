"""The `vouch` command: selects the program and passes it the arguments. Imports nothing large."""

import io
import os
import signal
import sys
import traceback
from importlib import import_module
from types import FrameType, TracebackType

from vouch import __version__
from vouch.cli.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USAGE
from vouch.cli.loading import loading
from vouch.cli.nearest import did_you_mean
from vouch.cli.printable import print_error, printable
from vouch.cli.programs import COMMANDS, EXTRAS


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns its exit code, one of `EXIT_CODES`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may not be valid text
    sys.excepthook = _show_bug
    if os.getpid() == 1:  # process 1 of a container only gets signals that it has a handler for
        signal.signal(signal.SIGTERM, _terminated)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our errors replace gRPC's own log lines
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print_error("interrupted")
        return INTERRUPTED
    except OSError as err:
        if err.filename is not None:  # an error of standard output has no file name
            print_error(f"error: {err.strerror}: {err.filename}")
            return FAILED
        # Standard output is closed or full: later writes to it must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(err, BrokenPipeError):
            print_error(f"error: standard output cannot be written: {err.strerror}")
        return FAILED


def _terminated(number: int, _: FrameType | None) -> None:
    """Ends the process as the system would without a handler: an exception in the middle of an import would look like a
    failure of the import.
    """
    os._exit(128 + number)


def _show_bug(kind: type[BaseException], err: BaseException, trace: TracebackType | None) -> None:
    """Prints a traceback as Python would, but escapes it: the error may quote foreign text."""
    print(printable("".join(traceback.format_exception(kind, err, trace)), keep="\n"), end="", file=sys.stderr)


def _run(arguments: list[str] | None) -> int:
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("help", "-h", "--help") and rest:
        command, rest = rest[0], [*rest[1:], "--help"]
    if command in ("help", "-h", "--help"):
        print(usage())
        return DONE
    if command in ("-V", "--version", "version"):
        print(f"vouch {__version__}")
        return DONE
    if command not in COMMANDS:
        wrong = f"unknown command {command!r}{did_you_mean(command, [*COMMANDS, 'help'])}"
        if command.startswith("-"):
            wrong = f"expected a command before {command!r}, as in vouch train --json"
        print_error(f"vouch: error: {wrong}")
        print_error("vouch --help shows the commands")
        return WRONG_USAGE
    program = COMMANDS[command].program
    try:
        with loading():
            commands = import_module(f"vouch.{program}.commands")
        code: int = getattr(commands, command)(rest)
    except SystemExit as end:  # after --help, and after wrong usage
        if isinstance(end.code, str):  # a library that cannot be used gives the reason
            print_error(end.code)
        return FAILED if isinstance(end.code, str) else end.code or DONE
    except ModuleNotFoundError as err:  # some libraries are loaded only when needed
        print_error(f"error: vouch {command} needs {err.name}: pip install '{EXTRAS[program]}'")
        return FAILED
    return code


def usage() -> str:
    """The overview of the commands."""
    lines = [f"  {name:<12}{about}" for name, (_, _, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vouch COMMAND [OPTION ...]",
            "",
            "Train an image classifier, serve it, and prove its accuracy before it answers.",
            "",
            *lines,
            "",
            "vouch help COMMAND (or vouch COMMAND --help) shows its options, vouch --version the version.",
        ]
    )
