"""`vouch predict`: reads files one after the other, sends a few at the same time, and collects the answers.

Each file is a separate call, so that if the server refuses one, only this file fails.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import grpc

from vouch.cli.console import progress_bar, say
from vouch.cli.exit_codes import DONE, FAILED
from vouch.client.answers import Answers, Unanswered, show_answers
from vouch.client.client import Client
from vouch.client.errors import CallFailed
from vouch.client.files import STANDARD_INPUT, File, list_files
from vouch.client.images import UnusableFile, read_bounded, read_file, to_send
from vouch.client.messages import Predictions
from vouch.client.settings import PredictSettings
from vouch.client.waiting import until_served

CALLS_AT_ONCE = 4
BYTES_AT_ONCE = 32_000_000
"""Total size of the files that are read but not answered yet; a larger file is sent alone."""
OF_ONE_FILE = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
)
"""Errors that may concern one file and not the next. Any other error concerns all files."""

Ask = Callable[[bytes], Predictions]


def predict_files(settings: PredictSettings) -> int:
    """Classifies the files and prints the answers and the failures; returns the exit code.

    Raises:
        CallFailed: the server cannot be reached, or would refuse every file. Earlier answers are printed.
    """
    listing, answers, ended = list_files(settings.files), Answers(), None
    for note in listing.notes():
        say(note)
    try:
        _ask_all(settings, listing.files, answers)
    except (CallFailed, KeyboardInterrupt) as err:
        ended = err
    show_answers(listing, answers, ended, settings.json_output)
    if isinstance(ended, CallFailed) and len(answers):
        left = len(listing.files) - len(answers.found)
        raise CallFailed(f"{ended}; {left:,} of {len(listing.files):,} files were not answered", ended.code) from ended
    if ended is not None:
        raise ended
    return FAILED if answers.failed else DONE


def _ask_all(settings: PredictSettings, files: Sequence[File], answers: Answers) -> None:
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(CALLS_AT_ONCE)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        # Left before the pool is, which ends the calls that its threads wait for.
        client = stack.enter_context(Client(settings.server, settings.timeout_s, settings.trust))
        until_served(client, settings.model, settings.wait_s)
        show = stack.enter_context(progress_bar("predicting", len(files)))

        def ask(content: bytes) -> Predictions:
            return client.predict([content], settings.model, top_k=settings.top, coverage=settings.coverage)

        for place, answer in answer_each(files, ask, pool):
            answers.add(place, answer)
            show(len(answers))


def answer_each(
    files: Sequence[File], ask: Ask, pool: ThreadPoolExecutor
) -> Iterator[tuple[int, Predictions | Unanswered]]:
    """Each file's position with its answer, or with the reason why it has none, in order.

    Args:
        ask: called in the pool, with a file's bytes.

    Raises:
        CallFailed: an error that concerns every file; or `CALLS_AT_ONCE` files in a row without an answer in time.
    """
    at_work: deque[tuple[int, Future[Predictions] | Unanswered, int]] = deque()
    late = 0

    def first() -> tuple[int, Predictions | Unanswered]:
        nonlocal late
        place, work, _ = at_work.popleft()
        if isinstance(work, Unanswered):
            return place, work
        try:
            answer = work.result()
        except CallFailed as err:
            late = late + 1 if err.code is grpc.StatusCode.DEADLINE_EXCEEDED else 0
            if err.code not in OF_ONE_FILE or late == CALLS_AT_ONCE:
                raise
            return place, _unanswered(err)
        late = 0
        return place, answer

    for place, file in enumerate(files):
        try:
            content = _read(file)
        except UnusableFile as err:
            at_work.append((place, Unanswered(str(err)), 0))
            continue
        while at_work and (
            len(at_work) >= CALLS_AT_ONCE or sum(size for *_, size in at_work) + len(content) > BYTES_AT_ONCE
        ):
            yield first()
        at_work.append((place, pool.submit(ask, content), len(content)))
    while at_work:
        yield first()


def _read(file: File) -> bytes:
    """
    Raises:
        UnusableFile: with the reason.
    """
    if file.fault:
        raise UnusableFile(file.fault)
    try:
        if file.name != STANDARD_INPUT:
            return read_file(file.name)
        if sys.stdin is None:
            raise UnusableFile("is closed; pipe an image into it: cat seven.png | vouch predict -")
        if sys.stdin.isatty():
            raise UnusableFile("is a terminal; pipe an image into it: cat seven.png | vouch predict -")
        return to_send(read_bounded(sys.stdin.buffer))
    except UnusableFile:
        raise
    except OSError as err:
        raise UnusableFile(f"cannot be read: {err.strerror or err}") from err
    except ValueError as err:  # a zero byte in the name
        raise UnusableFile(f"cannot be read: {err}") from err


def _unanswered(err: CallFailed) -> Unanswered:
    """Why the file has no answer. The server calls the only file of a request `file 0` if the file is at fault."""
    if err.code is not grpc.StatusCode.INVALID_ARGUMENT:
        return Unanswered(str(err))
    about_the_file = err.details.startswith("file 0: ")
    return Unanswered(err.details.removeprefix("file 0: ") if about_the_file else str(err), not about_the_file)
