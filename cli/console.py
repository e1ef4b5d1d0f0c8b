"""What a command shows: progress on standard error, results on standard output, exit codes.

Progress bars are drawn only where standard error is a terminal; the JSON object is the last line of standard output.
Rich is loaded when something is shown: it takes longer than the rest of the house, and a server has nothing to show.
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
"""How a line looks that speaks against a result, where colours are shown; its words say it too."""


def output() -> "Console":
    """Standard output, for results."""
    return _console(stderr=False)


@cache
def _console(stderr: bool) -> "Console":
    """No markup, no emoji: a path or a label is shown as it is, brackets and colons too, on one line."""
    from rich.console import Console  # noqa: PLC0415 - see above

    class Printable(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)

        def render_str(self, text: str, **options: Any) -> "Text":  # the cells of a table, which may have lines
            return super().render_str(printable(text, keep="\n"), **options)

    return Printable(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Show(Protocol):
    """How far a piece of work is."""

    def __call__(self, done: int, of: int | None = None) -> None:
        """So many are done; of so many in all, where that has changed."""


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator["Show"]:
    """On standard error while the block runs: about how long it takes, then a bar, or without a terminal a line now
    and then.

    Yields:
        a function that is told how many are done so far, and of how many where that has changed.
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
            bar.update(task, completed=done, total=of)  # None leaves it as it is
            if of is not None:
                lines.of(of)
            lines.estimate(done, say)

        yield show


def say(text: str) -> None:
    """One line of progress on standard error."""
    _console(stderr=True).print(text)


def print_caveats(title: str, texts: Iterable[str]) -> None:
    """What is to be said against a result, a line each; in red where standard output is a terminal."""
    for text in texts:
        output().print(f"  {title}  {text}", style=AGAINST)


def be_quiet() -> None:
    """From now on this process says nothing: another one speaks for it."""
    for stderr in (False, True):
        _console(stderr=stderr).quiet = True  # by the same word as above: the cache tells f(x) from f(x=x)


def print_json(result: Mapping[str, Any]) -> None:
    """The result as one JSON object on one line of standard output."""
    print(json_text(result), flush=True)


def exit_code(
    command: Callable[[], int | None],
    expected: tuple[type[Exception], ...],
    tell: Callable[[str], None] = lambda message: print_error(f"error: {message}"),
) -> int:
    """Runs a command: 0 or its own code when it is done, 1 with one message where an expected error ends it.

    Args:
        expected: errors whose message is meant for the user; any other exception is a bug and keeps its traceback.
        tell: what is done with that message.
    """
    try:
        return command() or DONE
    except expected as err:
        tell(str(err))
        return FAILED
