"""validation.zip as it is written, and what else is refused before any image is read."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.bundle.made_up import LABELS, made_up_manifest
from tests.bundle.splits import answers, changed, written
from vouch.bundle.answers import ANSWERS
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.manifest import Manifest
from vouch.bundle.new_validation import from_files
from vouch.bundle.stored_files import StoredFiles
from vouch.bundle.validation import Piece, read_pieces

FILES = [b"\x89PNG\r\n\x1a\n" + bytes([n]) * (10 * n) for n in range(1, 7)]
GIVEN = answers([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2], [0.5, 0.25, 1, 0, 0.75, 0.125])


def a_split() -> tuple[bytes, Manifest]:
    content, digest = written(from_files(FILES, GIVEN, LABELS))
    files = {"model.onnx": None, "validation.zip": None}
    return content, changed(made_up_manifest(), files=files, validation_digest=digest)


def pieces(content: bytes, manifest: Manifest, count: int = 4, most_bytes: int = 1 << 20) -> list[Piece]:
    return list(read_pieces(io.BytesIO(content), manifest, count, most_bytes))


@pytest.mark.parametrize(
    ("count", "most_bytes", "sizes"),
    [(4, 1 << 20, [4, 2]), (100, 1 << 20, [6]), (4, 60, [2, 1, 1, 1, 1]), (1, 1, [1] * 6)],
)
def test_files_are_read_in_pieces_of_so_many_files_and_bytes(count: int, most_bytes: int, sizes: list[int]) -> None:
    """In their order, with what is claimed of each; no piece crosses a multiple of the count."""
    found = pieces(*a_split(), count, most_bytes)

    assert [len(piece) for piece in found] == sizes
    assert [file for piece in found for file in piece.images] == FILES
    claimed = [piece.claimed for piece in found if piece.claimed is not None]
    assert np.concatenate([one.answers for one in claimed]).tolist() == GIVEN.answers.tolist()
    assert np.concatenate([one.probabilities for one in claimed]).tolist() == GIVEN.probabilities.tolist()


def test_the_archive_can_be_read_by_anybody() -> None:
    """Python's zipfile and a JSON parser are enough."""
    with zipfile.ZipFile(io.BytesIO(a_split()[0])) as archive:
        assert archive.testzip() is None
        lines = [json.loads(line) for line in archive.read(ANSWERS).splitlines()]
        assert [archive.read(line["file"]) for line in lines] == FILES
    assert lines[1] == {"file": "000001.png", "label": "cat", "answer": "dog", "probability": 0.25}


def rewritten(change: Callable[[zipfile.ZipFile, str, bytes], None]) -> bytes:
    """The same members, each written by this."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(a_split()[0])) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            change(new, name, old.read(name))
    return file.getvalue()


def packed(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    new.writestr(name, content, zipfile.ZIP_DEFLATED)


def outside(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    new.writestr(name.replace("000002", "../002"), content)


def unnumbered(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    new.writestr(name.replace("000002", "holiday"), content)


def other_kind(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    new.writestr(name.replace("000002.png", "000002.svg"), content)


def empty(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    new.writestr(name, b"" if name == "000002.png" else content)


def without_answers(new: zipfile.ZipFile, name: str, content: bytes) -> None:
    if name != ANSWERS:
        new.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (packed, "compressed by method 8"),
        (outside, "it contains '../002.png'"),
        (unnumbered, "it contains 'holiday.png'"),
        (other_kind, "it contains '000002.svg'"),
        (empty, "000002.png has 0 bytes"),
        (without_answers, "does not contain answers.jsonl"),
    ],
)
def test_other_members_are_refused(change: Callable[[zipfile.ZipFile, str, bytes], None], reason: str) -> None:
    """Before any of them is read."""
    with pytest.raises(InvalidBundle, match=reason):
        pieces(rewritten(change), a_split()[1])


def entries(content: bytes) -> Iterator[int]:
    """Where the entries of the list begin."""
    at = content.index(b"PK\1\2")
    while at >= 0:
        yield at
        at = content.find(b"PK\1\2", at + 4)


def harmed(place: int, kind: str, value: int) -> bytes:
    """The second entry of the list with another number in it."""
    content = bytearray(a_split()[0])
    struct.pack_into(f"<{kind}", content, [*entries(bytes(content))][1] + place, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (harmed(8, "H", 1), "000001.png is encrypted"),
        (harmed(42, "I", 0), "000001.png overlaps"),
        (harmed(20, "I", 1 << 30), "000001.png overlaps|is stored, and yet has"),
        (harmed(16, "I", 7), "000001.png has a header that differs"),
        (harmed(46, "B", 0x31), "it contains '100001.png'"),
        (a_split()[0][:-1], "does not end like a zip archive"),
        (a_split()[0] + b"more", "without a comment"),
        (b"", "does not end like a zip archive"),
    ],
)
def test_a_list_that_is_not_right_is_refused(content: bytes, reason: str) -> None:
    """Encrypted members, such that overlap, and sizes or names that are not those of the members."""
    with pytest.raises(InvalidBundle, match=reason):
        pieces(content, a_split()[1])


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"answer": "dog"', b'"answer": "owl"', "'owl', which is not a label"),
        (b'"probability": 0.25', b'"probability": 1.25', "not a float32's value from 0 to 1"),
        (b'"probability": 0.25', b'"probability": true', "not a float32's value from 0 to 1"),
        (b'"file": "000001.png"', b'"file": "000000.png"', "another file than 000001.png"),
        (b'"label": "cat", "answer": "dog"', b'"label": "cat", "label": "dog"', "does not have exactly"),
        (b'{"file": "000001.png"', b'["file", "000001.png"', "is not JSON"),
        (b'"answer": "dog"', b'"answer": "' + b"x" * 30_000 + b'"', "ends early, or has more than"),
        (b'"answer": "dog"', b'"answer": ' + b"[" * 5 + b"]" * 5, "is not a label"),
        (b'"answer": "dog"', b'"answer": ' + b"[" * 20 + b"]" * 20, "has more than the 16 values"),
        (b'"answer": "dog"', b'"answer": "d\xffg"', "is not JSON: 'utf-8' codec"),
        (b'{"file": "000001.png"', b'\xef\xbb\xbf{"file": "000001.png"', "is not JSON: Expecting value"),
    ],
)
def test_a_line_that_is_not_right_is_refused(old: bytes, new: bytes, reason: str) -> None:
    """By its number."""

    def change(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content.replace(old, new, 1) if name == ANSWERS else content)

    with pytest.raises(InvalidBundle, match=rf"line 2 of answers\.jsonl .*{reason}"):
        pieces(rewritten(change), a_split()[1])


def test_a_line_too_many_or_too_few_is_refused() -> None:
    """As many lines as images."""

    def more(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content + b"{}\n" if name == ANSWERS else content)

    def fewer(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content[: content.rindex(b"{")] if name == ANSWERS else content)

    for change, reason in ((more, "more lines than there are images"), (fewer, "line 6 of answers.jsonl ends early")):
        with pytest.raises(InvalidBundle, match=reason):
            pieces(rewritten(change), a_split()[1])


def test_another_image_is_known_by_the_digest() -> None:
    """It is of the same size, and everything else in the archive agrees."""

    def change(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
        archive.writestr(name, content[:-1] + b"!" if name == "000003.png" else content)

    with pytest.raises(InvalidBundle, match="has other images or labels than the claim"):
        pieces(rewritten(change), a_split()[1])


def test_no_more_files_than_allowed_are_listed(tmp_path: Path) -> None:
    """The list is refused at the first that is too many."""
    path = tmp_path / "split"
    path.write_bytes(a_split()[0])

    with path.open("rb") as file, pytest.raises(ValueError, match="it contains '000004.png'; .* at most 4 files"):
        StoredFiles(file, 4)
