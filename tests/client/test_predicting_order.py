import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests.support.serving import Serving, start  # noqa: F401 - a fixture
from vouch.client import CallFailed, Prediction, Predictions, predicting
from vouch.client.answers import Unanswered
from vouch.client.files import File
from vouch.client.predicting import answer_each
from vouch.commands import main


def answer(label: str) -> Predictions:
    return Predictions("tiny", 1, (Prediction(label, 1.0, ((label, 1.0),)),))


def failure(code: grpc.StatusCode, details: str = "") -> CallFailed:
    return CallFailed(f"server answered {code.name}: {details}", code, details)


@pytest.fixture
def files(tmp_path: Path) -> Callable[[int], list[File]]:
    """Files that hold their numbers."""

    def make(count: int) -> list[File]:
        for number in range(count):
            (tmp_path / str(number)).write_text(str(number))
        return [File(str(tmp_path / str(number))) for number in range(count)]

    return make


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(predicting.CALLS_AT_ONCE) as threads:
        yield threads


def test_answers_keep_the_order_of_the_files(files: Callable[[int], list[File]], pool: ThreadPoolExecutor) -> None:
    """Also where the first is the last to be answered; the server's name for the only file is left out."""
    others = threading.Semaphore(0)

    def ask(content: bytes) -> Predictions:
        if content == b"0":
            assert others.acquire(timeout=10)
            assert others.acquire(timeout=10)
        others.release()
        if content == b"2":
            raise failure(grpc.StatusCode.INVALID_ARGUMENT, "file 0: not one")
        return answer(content.decode())

    asked = files(5)
    asked[3] = File(asked[3].name, "is broken")

    assert list(answer_each(asked, ask, pool)) == [
        (0, answer("0")),
        (1, answer("1")),
        (2, Unanswered("not one")),
        (3, Unanswered("is broken")),
        (4, answer("4")),
    ]


def test_few_files_are_in_memory_at_once(
    files: Callable[[int], list[File]], pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are: as many as are asked at once, or fewer of large ones."""
    monkeypatch.setattr(predicting, "BYTES_AT_ONCE", 2)
    lock, now, most, read = threading.Lock(), 0, 0, 0

    def ask(content: bytes) -> Predictions:
        nonlocal now, most
        with lock:
            now += len(content)
            most = max(most, now)
        with lock:
            now -= len(content)
        return answer("x")

    for place, _ in answer_each(files(100), ask, pool):
        read = place

    assert read == 99
    assert most <= 2


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNKNOWN])
def test_a_server_that_is_gone_ends_it(
    files: Callable[[int], list[File]], pool: ThreadPoolExecutor, code: grpc.StatusCode
) -> None:
    """After the answers to what came before."""

    def ask(content: bytes) -> Predictions:
        if content >= b"3":
            raise failure(code)
        return answer(content.decode())

    each = answer_each(files(9), ask, pool)

    assert [next(each) for _ in range(3)] == [(place, answer(str(place))) for place in range(3)]
    with pytest.raises(CallFailed):
        next(each)


def test_one_slow_file_is_passed_over_and_a_silent_server_is_not_waited_for(
    files: Callable[[int], list[File]], pool: ThreadPoolExecutor
) -> None:
    """As many as are asked at once, without an answer in time, one after the other: nobody answers any more."""

    def ask(content: bytes) -> Predictions:
        if content == b"1" or content >= b"4":
            raise failure(grpc.StatusCode.DEADLINE_EXCEEDED)
        return answer(content.decode())

    each = answer_each(files(9), ask, pool)

    assert [type(next(each)[1]).__name__ for _ in range(7)] == [
        *("Predictions", "Unanswered", "Predictions", "Predictions", "Unanswered", "Unanswered", "Unanswered")
    ]
    with pytest.raises(CallFailed, match="DEADLINE_EXCEEDED"):
        next(each)


class Broken:
    """A client that answers two files, and then what it is given ends the call."""

    end: BaseException

    def __init__(self, *_: object) -> None:
        self.calls = 0

    def __enter__(self) -> "Broken":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def predict(self, content: Sequence[bytes], *_: object, **__: object) -> Predictions:
        if content[0] >= b"2":
            raise self.end
        return answer(content[0].decode())


@pytest.mark.parametrize(
    ("end", "code", "reason", "last_line"),
    [
        (
            failure(grpc.StatusCode.UNAVAILABLE, "gone"),
            *(1, "server answered UNAVAILABLE: gone"),
            "error: server answered UNAVAILABLE: gone; 3 of 5 files were not answered\n",
        ),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted\n"),
    ],
)
def test_what_was_answered_before_the_end_is_shown(
    files: Callable[[int], list[File]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    end: BaseException,
    code: int,
    reason: str,
    last_line: str,
) -> None:
    """When the server goes away, and when somebody presses Ctrl-C: as JSON, every file is in one of the two lists."""
    monkeypatch.setattr(Broken, "end", end, raising=False)
    monkeypatch.setattr(predicting, "Client", Broken)
    words = [file.name for file in files(5)]

    assert main(["predict", *words, "--json"]) == code

    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert [row["file"] for row in result["predictions"]] == words[:2]
    assert result["errors"] == [{"file": word, "error": f"not answered: {reason}"} for word in words[2:]]
    assert captured.err == last_line
