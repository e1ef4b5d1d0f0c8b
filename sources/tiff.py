"""The parts of a TIFF file that make the pixels of its first picture, and the picture's size, from its tags.

The directory is rewritten with only the tags that decoding needs, so that a decoder reads no others: camera notes,
resolutions, more pages. Their number and positions are checked, because a decoder follows them.
"""

import struct
from dataclasses import dataclass

from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import check_size

ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
ENTRY_BYTES = 12
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
"""Type of a tag -> bytes of one of its values."""
WHOLE = {1: "B", 3: "H", 4: "I"}
WIDTH, HEIGHT, BITS, COLOURS, ORIENTATION = 256, 257, 258, 262, 274
STRIPS, SAMPLES, ROWS, PLANES = 273, 277, 278, 284
TILE_WIDTH, TILE_HEIGHT, TILES = 322, 323, 324
NEEDED = {
    *(WIDTH, HEIGHT, BITS, 259, COLOURS, 266, STRIPS, ORIENTATION, SAMPLES, ROWS, 279, PLANES, 317, 320),
    *(TILE_WIDTH, TILE_HEIGHT, TILES, 325, 332, 338, 339, 347, *range(512, 522), 529, 530, 531, 532),
}
"""Tags for sizes, samples, colours, compression, and the positions of the pixels."""
MAX_SAMPLES = 8
"""The most samples per pixel."""


@dataclass(frozen=True)
class Tiff:
    """The first picture of a TIFF file."""

    encoded: bytes
    """The file with only the tags that its pixels need."""
    width: int
    height: int
    """As stored, before the picture is rotated upright."""
    bits: int
    """Bits of the widest sample."""
    planes_apart: bool
    """Whether the samples of a colour are stored together, not those of a pixel."""
    white_is_zero: bool


def read_tiff(encoded: bytes) -> Tiff:
    """The first picture of a TIFF file.

    Raises:
        InvalidImage: the needed tags are broken or impossible, or the picture is too large.
    """
    order = ORDERS[encoded[:4]]
    entries = _entries(encoded, order)
    numbers = {tag: _numbers(encoded, order, entry) for tag, entry in entries.items()}

    def number(tag: int, default: int) -> int:
        return max(numbers.get(tag) or (default,))

    width, height, samples = number(WIDTH, 0), number(HEIGHT, 0), number(SAMPLES, 1)
    check_size(width, height)
    if not 1 <= samples <= MAX_SAMPLES:
        raise InvalidImage(f"the TIFF picture has {samples:,} samples per pixel; expected 1 to {MAX_SAMPLES}")
    apart = number(PLANES, 1) == 2
    across, down, tag = 1, max(1, number(ROWS, height)), STRIPS
    if TILES in entries:
        across, down, tag = (max(1, number(TILE_WIDTH, 0)), max(1, number(TILE_HEIGHT, 0)), TILES)
        across = -(-width // across)
    expected = across * -(-height // down) * (samples if apart else 1)
    if tag in entries and entries[tag].count != expected:
        raise InvalidImage(f"the TIFF picture is broken: it has {entries[tag].count:,} pieces; expected {expected:,}")
    kept = _with_directory(encoded, order, entries)
    return Tiff(kept, width, height, number(BITS, 1), apart, number(COLOURS, 1) == 0)


@dataclass(frozen=True)
class _Entry:
    """A tag's entry in a directory."""

    type: int
    count: int
    value: bytes
    """Four bytes: the value, or its position."""

    @property
    def size(self) -> int:
        return self.count * TYPE_BYTES[self.type]


def _entries(encoded: bytes, order: str) -> dict[int, _Entry]:
    """The needed entries, by tag."""
    start = struct.unpack_from(f"{order}I", encoded, 4)[0] if len(encoded) >= 8 else 0
    count = struct.unpack_from(f"{order}H", encoded, start)[0] if 8 <= start <= len(encoded) - 2 else 0
    if not count or start + 2 + ENTRY_BYTES * count + 4 > len(encoded):
        raise InvalidImage("the TIFF picture is truncated: its directory is after its end")
    entries: dict[int, _Entry] = {}
    for at in range(start + 2, start + 2 + ENTRY_BYTES * count, ENTRY_BYTES):
        tag, kind, values, value = struct.unpack_from(f"{order}HHI4s", encoded, at)
        if tag not in NEEDED or tag in entries or kind not in TYPE_BYTES:
            continue
        entry = _Entry(kind, values, value)
        place = struct.unpack(f"{order}I", value)[0]
        if entry.size > 4 and place + entry.size > len(encoded):
            raise InvalidImage(f"the TIFF picture is truncated: its tag {tag} is after its end")
        if tag != ORIENTATION or (kind in WHOLE and values == 1):
            entries[tag] = entry
    return entries


def _numbers(encoded: bytes, order: str, entry: _Entry) -> tuple[int, ...]:
    """The first of its values, if they are whole numbers."""
    count = min(entry.count, MAX_SAMPLES)
    if entry.type not in WHOLE or not count:
        return ()
    content, at = (encoded, struct.unpack(f"{order}I", entry.value)[0]) if entry.size > 4 else (entry.value, 0)
    return struct.unpack_from(f"{order}{count}{WHOLE[entry.type]}", content, at)


def _with_directory(encoded: bytes, order: str, entries: dict[int, _Entry]) -> bytes:
    """The file with only these entries in its first and only directory."""
    start = struct.unpack_from(f"{order}I", encoded, 4)[0]
    rows = [struct.pack(f"{order}HHI", tag, one.type, one.count) + one.value for tag, one in sorted(entries.items())]
    directory = struct.pack(f"{order}H", len(rows)) + b"".join(rows) + bytes(4)
    whole = memoryview(encoded)
    return b"".join((whole[:start], directory, whole[start + len(directory) :]))
