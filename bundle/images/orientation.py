"""A picture's orientation: decoding reads only this from EXIF and XMP. Also makes EXIF with only the orientation."""

import re
import struct
from dataclasses import dataclass

UPRIGHT = 1
TURNED = range(2, 9)
"""Orientations that mirror or rotate, by EXIF's numbers; others do not change the picture."""
ORIENTATION = 0x0112
EXIF = b"Exif\0\0"
"""Prefix of the entries in JPEG, and sometimes elsewhere."""
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
NUMBERS = {1: "B", 3: "H", 4: "I"}
"""Types of an EXIF entry that hold a whole number."""
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


@dataclass
class Notes:
    """A file's EXIF and XMP, which may contain the orientation."""

    exif: bytes | None = None
    xmp: bytes | None = None

    @property
    def orientation(self) -> int:
        """EXIF's number of the orientation; EXIF takes precedence over XMP."""
        number = _in_exif((self.exif or b"").removeprefix(EXIF).removeprefix(EXIF))
        return _in_xmp(self.xmp or b"") if number is None else number


def exif_of(orientation: int) -> bytes:
    """EXIF with only this entry, without the prefix."""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)


def _in_exif(tiff: bytes) -> int | None:
    """The orientation; None if there is none, or it is broken."""
    order = BYTE_ORDERS.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    start = struct.unpack_from(f"{order}I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return None
    entries = struct.unpack_from(f"{order}H", tiff, start)[0]
    whole = min(entries, (len(tiff) - start - 2) // 12)
    for entry in range(start + 2, start + 2 + 12 * whole, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, entry)
        if tag == ORIENTATION and count == 1 and kind in NUMBERS:
            number: int = struct.unpack_from(f"{order}{NUMBERS[kind]}", tiff, entry + 8)[0]
            return number
    return None


def _in_xmp(xmp: bytes) -> int:
    found = XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else UPRIGHT
