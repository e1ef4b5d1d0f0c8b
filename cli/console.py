"""Output of a command: progress on standard error, results on standard output, exit codes.

Progress bars are drawn only if standard error is a terminal; the JSON object is the last line of standard output.
Rich is loaded when it is first used: loading it takes longer than all other modules, and a server does not use it.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from vouch.cli.exit_codes import DONE, FAILED
from vouch.cli.lines import ProgressLines
from vouch.cli.printable import json_text, print_error, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

AGAINST = "bold red"
"""Style of a warning about a result, on terminals with colours; the text is a warning without it too."""


def output() -> "Console":
    """Standard output, for results."""
    return _console(stderr=False)


@cache
def _console(stderr: bool) -> "Console":
    """A console without markup: paths and labels are printed unchanged, with their brackets and colons, on one line."""
    from rich.console import Console  # noqa: PLC0415 - see above

    class Printable(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)

        def render_str(self, text: str, **options: Any) -> "Text":  # table cells, which may have several lines
            return super().render_str(printable(text, keep="\n"), **options)

    return Printable(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Show(Protocol):
    """Reports progress."""

    def __call__(self, done: int, of: int | None = None) -> None:
        """`done` are done; `of` is the new total, if it has changed."""


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator["Show"]:
    """Shows progress on standard error while the block runs: an estimate of the duration, then a bar, or without a
    terminal a line from time to time.

    Yields:
        a function to call with the number done so far, and with the total if it has changed.
    """
    if _console(stderr=True).quiet:
        yield lambda done, of=None: None
        return
    lines = ProgressLines(title, total)
    if not sys.stderr.isatty():

        def tell(done: int, of: int | None = None) -> None:
            if of is not None:
                lines.of(of)
            lines.tell(done, say)

        yield tell
        return
    from rich import progress  # noqa: PLC0415 - see above

    columns = (
        *(progress.TextColumn("{task.description}"), progress.BarColumn()),
        *(progress.MofNCompleteColumn(), progress.TimeRemainingColumn()),
    )
    with progress.Progress(*columns, console=_console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)

        def show(done: int, of: int | None = None) -> None:
            bar.update(task, completed=done, total=of)  # None keeps the total
            if of is not None:
                lines.of(of)
            lines.estimate(done, say)

        yield show


def say(text: str) -> None:
    """One line of progress on standard error."""
    _console(stderr=True).print(text)


def print_caveats(title: str, texts: Iterable[str]) -> None:
    """Prints warnings about a result, one line each; red if standard output is a terminal."""
    for text in texts:
        output().print(f"  {title}  {text}", style=AGAINST)


def be_quiet() -> None:
    """Turns off this process's output: another process reports for it."""
    for stderr in (False, True):
        _console(stderr=stderr).quiet = True  # keyword as above: the cache distinguishes f(x) and f(x=x)


def print_json(result: Mapping[str, Any]) -> None:
    """Prints the result as one JSON object on one line of standard output."""
    print(json_text(result), flush=True)


def exit_code(
    command: Callable[[], int | None],
    expected: tuple[type[Exception], ...],
    tell: Callable[[str], None] = lambda message: print_error(f"error: {message}"),
) -> int:
    """Runs a command and returns its exit code, or 0; prints one message and returns 1 after an expected error.

    Args:
        expected: errors whose message is for the user; any other exception is a bug and keeps its traceback.
        tell: prints that message.
    """
    try:
        return command() or DONE
    except expected as err:
        tell(str(err))
        return FAILED
