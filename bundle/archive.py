"""The list of members at the end of a zip archive, checked before any member is read.

Its sizes, names and positions show how much memory the archive can take. So it is read one entry at a time, and refused
at the first unexpected entry.
https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

END, END_64, LOCATOR_64 = struct.Struct("<4s6xHII2x"), struct.Struct("<4s28xQQQ"), struct.Struct("<4s4xQ4x")
"""Records at the end of a zip archive, from the last backwards."""
ENTRY, LOCAL = struct.Struct("<4s4x2H4x3I3H8xI"), struct.Struct("<4s2x2H4x3I2H")
"""Headers of a member: in the list, and before its content."""
ENCRYPTED, BEHIND = 1, 8
"""Flags: the content is encrypted; its sizes follow it instead of preceding it."""
STORED = 0
UNSAID = 0xFFFFFFFF
"""Stands for a number over 32 bits, which is then in the field ZIP_64."""
ZIP_64 = 1
MAX_NAME_BYTES = 64


class Directory(NamedTuple):
    """Position of the list of members."""

    start: int
    size: int
    entries: int


class Member(NamedTuple):
    """A member's entry in the list."""

    name: str
    method: int
    crc: int
    packed: int
    """Stored size in bytes."""
    size: int
    """Size of its content in bytes."""
    offset: int
    """Position of its own header."""


def directory(file: BinaryIO) -> Directory:
    """The position of the list.

    Raises:
        ValueError: it does not end like an archive in one part without a comment.
    """
    begin = max(0, file.seek(0, io.SEEK_END) - END.size - LOCATOR_64.size - END_64.size)
    file.seek(begin)
    content = file.read()
    at = len(content) - END.size
    if at < 0 or content[at : at + 4] != b"PK\5\6" or content[-2:] != b"\0\0":
        raise ValueError("it does not end like a zip archive without a comment")
    _, entries, size, start = END.unpack_from(content, at)
    locator, record = at - LOCATOR_64.size, at - LOCATOR_64.size - END_64.size
    end = begin + at
    if record >= 0 and content[locator : locator + 4] == b"PK\6\7":
        if LOCATOR_64.unpack_from(content, locator)[1] != begin + record or content[record : record + 4] != b"PK\6\6":
            raise ValueError("its list of members is not at its end")
        _, entries, size, start = END_64.unpack_from(content, record)
        end = begin + record
    if start + size != end:
        raise ValueError("its list of members does not end at the archive's end record")
    return Directory(start, size, entries)


def members(file: BinaryIO) -> Iterator[Member]:
    """The members in the order of the list, one at a time.

    Raises:
        ValueError: the list is broken; or a member is encrypted, overlaps with the one before it, or has an unusual
            name.
    """
    found = directory(file)
    file.seek(found.start)
    left, free = found.size, 0
    for _ in range(found.entries):
        member, length = _member(file, left)
        if member.offset < free:
            raise ValueError(f"{member.name} overlaps with the member before it")
        free = member.offset + LOCAL.size + len(member.name) + member.packed
        if free > found.start:
            raise ValueError(f"{member.name} overlaps with the list of members")
        left -= length
        place = file.tell()
        yield member
        file.seek(place)
    if left:
        raise ValueError("its list of members has surplus bytes")


def content_of(file: BinaryIO, member: Member) -> int:
    """The position of a member's content.

    Raises:
        ValueError: its own header differs from the list.
    """
    file.seek(member.offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or header[:4] != b"PK\3\4":
        raise ValueError(f"{member.name} does not begin at its position in the list")
    _, flags, method, crc, packed, size, name_bytes, more_bytes = LOCAL.unpack(header)
    name = file.read(min(name_bytes, MAX_NAME_BYTES))
    said = (name, method, crc, packed, size)
    if flags & (ENCRYPTED | BEHIND) or said != (member.name.encode(), *member[1:5]):
        raise ValueError(f"{member.name} has a header that differs from the list")
    return member.offset + LOCAL.size + int(name_bytes) + int(more_bytes)


def _member(file: BinaryIO, left: int) -> tuple[Member, int]:
    """The next member, and the length of its entry."""
    entry = file.read(ENTRY.size)
    if left < ENTRY.size or len(entry) < ENTRY.size or entry[:4] != b"PK\1\2":
        raise ValueError("its list of members is broken")
    _, flags, method, crc, packed, size, name_bytes, more_bytes, comment_bytes, offset = ENTRY.unpack(entry)
    length = ENTRY.size + name_bytes + more_bytes + comment_bytes
    if name_bytes > MAX_NAME_BYTES or comment_bytes or length > left:
        raise ValueError("its list of members is broken, or has long names or comments")
    name = _plain(file.read(name_bytes))
    if flags & ENCRYPTED:
        raise ValueError(f"{name} is encrypted")
    size, packed, offset = _in_full(file.read(more_bytes), (size, packed, offset))
    return Member(name, method, crc, packed, size, offset), length


def _plain(name: bytes) -> str:
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as err:
        raise ValueError(f"a member has the unusual name {name!r}") from err


def _in_full(more: bytes, numbers: tuple[int, ...]) -> tuple[int, ...]:
    """These numbers; those over 32 bits from the field ZIP_64."""
    large = iter(_large_numbers(more))
    try:
        return tuple([next(large) if number == UNSAID else number for number in numbers])
    except StopIteration as err:
        raise ValueError("its list of members is broken: a number of 64 bits is missing") from err


def _large_numbers(more: bytes) -> tuple[int, ...]:
    at = 0
    while at + 4 <= len(more):
        kind, length = struct.unpack_from("<HH", more, at)
        if kind == ZIP_64 and at + 4 + length <= len(more):
            return struct.unpack_from(f"<{length // 8}Q", more, at + 4)
        at += 4 + length
    return ()
