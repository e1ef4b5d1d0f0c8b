"""`vouch predict`: many files, of which any may be bad."""

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.serving import Serving, start  # noqa: F401 - a fixture
from tests.support.tiny import LABELS, SIDE
from vouch.client import images
from vouch.client.commands import predict

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
