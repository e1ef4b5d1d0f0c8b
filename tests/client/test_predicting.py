"""`vouch predict`: many files, of which any may be bad."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from tests.support.serving import Serving, start  # noqa: F401 - a fixture
from tests.support.tiny import LABELS, SIDE
from vouch.client import CallFailed, Prediction, Predictions, images, predicting
from vouch.client.answers import Unanswered
from vouch.client.commands import predict
from vouch.client.files import File
from vouch.client.predicting import answer_each
from vouch.commands import main

MAX_MESSAGE_BYTES = 1_000_000
"""Of the server in these tests."""
TOO_MANY_PIXELS = Image.new("1", (8001, 8000))


def a_row_is_bright(row: int) -> np.ndarray:
    image = np.zeros((SIDE, SIDE), np.uint8)
    image[row] = 200
    return image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good images among bad ones of every kind, in the order of their names."""
    photos = tmp_path / "photos"
    for row, name in enumerate(("1.png", "in/5.png", "sub/9.jpg")):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(a_row_is_bright(row)).resize((64, 64)).save(photos / name)
    (photos / "2-large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(MAX_MESSAGE_BYTES))
    (photos / "3-none.png").write_bytes(b"%PDF-1.7")
    TOO_MANY_PIXELS.save(photos / "4-wide.png")
    (photos / "in/4-half.png").write_bytes((photos / "1.png").read_bytes()[:60])
    (photos / "in/6-gone.png").symlink_to("nowhere")
    (photos / "in/7-empty.png").touch()
    (photos / "notes.txt").write_text("notes")
    return photos


REASONS = {
    "2-large.jpg": "the message is too large for ",
    "3-none.png": "expected PNG, JPEG or WebP; found a PDF document",
    "4-wide.png": "the image has 8,001 x 8,000 pixels; at most 64,000,000 are taken",
    "in/4-half.png": "",
    "in/6-gone.png": "cannot be read: No such file or directory",
    "in/7-empty.png": "is empty; expected PNG, JPEG, WebP, BMP, GIF or TIFF",
}


async def test_bad_files_of_every_kind_fail_alone(
    serving: Serving, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over each transport: the others are answered in order, every bad one is named with its reason, the code is 1."""
    code = await asyncio.to_thread(predict, [str(folder), "--server", serving.address, "--json"])

    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert code == 1
    assert [(row["file"], row["label"]) for row in result["predictions"]] == [
        (str(folder / name), label) for name, label in zip(("1.png", "in/5.png", "sub/9.jpg"), LABELS, strict=True)
    ]
    assert [row["file"] for row in result["errors"]] == [str(folder / name) for name in REASONS]
    assert result["left_out"] == 1
    said, *errors, summary = captured.err.splitlines()
    assert said == f"{folder}: 1 other file or folder is left out (1 .txt)"
    for (name, reason), row, line in zip(REASONS.items(), result["errors"], errors, strict=True):
        assert row["error"].startswith(reason)
        assert line == f"error: {folder / name}: {row['error']}"
    assert summary == "error: 6 of 9 files were not answered"


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


async def test_standard_input_urls_and_folders_are_what_people_type(
    serving: Serving, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image can be piped in; a URL is named as one."""
    stdin(monkeypatch, (folder / "in/5.png").read_bytes())
    words = [str(folder / "1.png"), "-", "http://example.com/cat.png", str(folder / "sub"), "--top", "1"]

    code = await asyncio.to_thread(predict, [*words, "--server", serving.address])

    captured = capsys.readouterr()
    shown = [line.split() for line in captured.out.splitlines()]
    assert code == 1
    assert shown[0] == ["tiny", "version", "1"]
    assert [words[:-1] for words in shown[1:]] == [
        [str(folder / "1.png"), "first"],
        ["standard", "input", "second"],
        [str(folder / "sub/9.jpg"), "third"],
    ]
    assert captured.err == (
        "error: http://example.com/cat.png: is a URL; vouch predict reads files: download it first\n"
    )


def test_names_that_no_file_can_have_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Each by its reason; one that is longer than a path may be is cut, and nothing ends the others."""
    words = ["x" * 300, "a/" * 3000, "data:image/png;base64," + "A" * 9000, "none.png/", ""]

    assert predict([*words, "--server", "127.0.0.1:1"]) == 1

    assert capsys.readouterr().err.splitlines() == [
        f"error: {'x' * 300}: cannot be read: File name too long",
        f"error: {'a/' * 30}...: cannot be read: File name too long",
        f"error: data:image/png;base64,{'A' * 38}...: is a URL; vouch predict reads files: download it first",
        "error: none.png/: cannot be read: No such file or directory",
        "error: : is an empty name; expected a file, a folder, or - for standard input",
        "error: 5 of 5 files were not answered",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; expected PNG, JPEG, WebP, BMP, GIF or TIFF"),
        (bytes(2_000_001), "has over 2,000,000 bytes, the limit for images"),
    ],
)
def test_standard_input_that_is_no_image_is_said(
    content: bytes, reason: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server is needed to say so."""
    stdin(monkeypatch, content)
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 2_000_000)

    assert predict(["-", "--server", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == f"error: standard input: {reason}\n"


async def test_what_would_be_answered_to_every_file_is_said_once(
    serving: Serving, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown model ends it; a coverage that is not promised is refused for each, and is one sentence too."""
    words = [str(folder / "1.png"), str(folder / "in/5.png"), "--server", serving.address]

    assert await asyncio.to_thread(predict, [*words, "--model", "none"]) == 1
    assert await asyncio.to_thread(predict, [*words, "--coverage", "0.5"]) == 1

    unknown, unpromised = capsys.readouterr().err.splitlines()
    assert unknown == f"error: {serving.address} answered NOT_FOUND: there is no model 'none'; there is tiny"
    assert unpromised.startswith(
        f"error: none of the 2 files was answered: {serving.address} answered INVALID_ARGUMENT"
    )


async def test_columns_stay_in_line(
    serving: Serving, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide letters take two places, control characters are spelled out, and one long name moves no other line."""
    monkeypatch.chdir(tmp_path)
    names = ["a.png", "\udcff.png", "\u732b.png", "evil\n\x1b[31m.png", "x" * 80 + ".png"]
    for name in names:
        Image.fromarray(a_row_is_bright(0)).save(name)

    await asyncio.to_thread(predict, [*names, "--top", "1", "--server", serving.address])

    _, *lines = capsys.readouterr().out.splitlines()
    pad = " " * 55
    assert lines == [
        f"  a.png{pad}  first  100.0%",
        f"  \\udcff.png{pad[5:]}  first  100.0%",
        f"  \u732b.png{pad[1:]}  first  100.0%",
        f"  evil\\n\\x1b[31m.png{pad[13:]}  first  100.0%",
        f"  {'x' * 80}.png  first  100.0%",
    ]


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
