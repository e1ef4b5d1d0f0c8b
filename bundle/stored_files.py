"""validation.zip: numbered image files as callers can send them, with the claimed answers.

Members are not compressed, and the list at the archive's end shows the size of each before any is read.
"""

import io
import zipfile
import zlib
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

from vouch.bundle.answers import ANSWERS, Answers, lines, names_of
from vouch.bundle.archive import STORED, Member, content_of, members
from vouch.bundle.digest import ValidationDigest
from vouch.bundle.image_parts import MAX_FILE_BYTES
from vouch.bundle.images.kinds import ENDINGS, ending

ENDS = tuple(ENDINGS.values())
"""The possible suffixes of a file."""
WRITTEN = (1980, 1, 1, 0, 0, 0)
"""The fixed time of members, so that equal splits give equal bytes."""
READ_BYTES = 1 << 16


class StoredFiles:
    """The archive, with its list checked. Raises ValueError if it is not such an archive."""

    def __init__(self, file: BinaryIO, most_images: int) -> None:
        self._file = file
        self._offsets, self._sizes, self._crcs, self._kinds = array("Q"), array("I"), array("I"), array("B")
        self.largest = 0
        """Size of the largest image file in bytes."""
        self._answers: Member | None = None
        for member in members(file):
            self._note(member, most_images)
        if self._answers is None or not len(self):
            raise ValueError(f"it does not contain {ANSWERS} and at least one image")

    def __len__(self) -> int:
        return len(self._offsets)

    def name(self, place: int) -> str:
        """Of an image file in the archive."""
        return file_name(place, ENDS[self._kinds[place]])

    def size(self, place: int) -> int:
        """Size of an image file in bytes."""
        return self._sizes[place]

    def read(self, place: int) -> bytes:
        """An image file."""
        name, crc, size = self.name(place), self._crcs[place], self._sizes[place]
        self._file.seek(content_of(self._file, Member(name, STORED, crc, size, size, self._offsets[place])))
        content = self._file.read(size)
        if len(content) != size or zlib.crc32(content) != crc:
            raise ValueError(f"{name} is damaged")
        return content

    def answers(self) -> BinaryIO:
        """The claimed answers, for reading in pieces."""
        assert self._answers is not None  # checked on construction
        start = content_of(self._file, self._answers)
        return io.BufferedReader(_Part(self._file, start, self._answers.size), READ_BYTES)

    def _note(self, member: Member, most_images: int) -> None:
        if member.method != STORED:
            raise ValueError(f"{member.name} is compressed by method {member.method}; expected it uncompressed")
        if member.packed != member.size:
            raise ValueError(
                f"{member.name} is uncompressed, but has sizes of {member.packed:,} and {member.size:,} bytes"
            )
        if member.name == ANSWERS and self._answers is None:
            self._answers = member
            return
        kind = member.name.rpartition(".")[2]
        if len(self) >= most_images or kind not in ENDS or member.name != file_name(len(self), kind):
            raise ValueError(
                f"it contains {member.name!r}; expected {ANSWERS} once, and at most {most_images:,} files without a "
                f"gap: next {len(self):06} with the suffix {', '.join(ENDS)}"
            )
        if not 0 < member.size <= MAX_FILE_BYTES:
            raise ValueError(f"{member.name} has {member.size:,} bytes; expected 1 to {MAX_FILE_BYTES:,}")
        self._offsets.append(member.offset)
        self._sizes.append(member.size)
        self._crcs.append(member.crc)
        self._kinds.append(ENDS.index(kind))
        self.largest = max(self.largest, member.size)


def write_files(file: BinaryIO, encoded: Iterable[bytes], answers: Answers, names: Sequence[str]) -> str:
    """Writes the archive, one image file in memory at a time, and returns the digest of the split.

    Args:
        encoded: the files, without metadata that decoding does not read.
        answers: to all images.
        names: of the K classes.

    Raises:
        InvalidImage: a file is not a PNG, JPEG or WebP picture.
    """
    called, digest = list[str](), ValidationDigest()
    with zipfile.ZipFile(file, "w") as archive:
        for place, content in enumerate(encoded):
            called.append(file_name(place, ending(content)))
            archive.writestr(zipfile.ZipInfo(called[-1], WRITTEN), content)
            digest.add(content, names_of(answers.labels[place], names))
        with archive.open(zipfile.ZipInfo(ANSWERS, WRITTEN), "w") as member:
            for line in lines(answers, names, called):
                member.write(line)
    return digest.hexdigest()


def file_name(place: int, kind: str) -> str:
    """Of an image file in the archive."""
    return f"{place:06}.{kind}"


class _Part(io.RawIOBase):
    """Reads a part of a file with its own position: others read from the same file in between."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._at, self._end = file, start, start + size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._at)
        part = self._file.read(min(len(buffer), self._end - self._at))
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)
