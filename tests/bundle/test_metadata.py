"""What lies beside the pixels decides nothing, however broken it is; what makes pixels may not be damaged."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from tests.bundle.odd_images import COLOUR, GREY, PNG, SMOOTH, chunk, exif, palette, saved
from tests.hostile.images import with_segment
from vouch.bundle.errors import InvalidImage
from vouch.bundle.images.orientation import exif_of
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode, look

SETTINGS = PixelSettings(height=7, width=11, channels=4)
BEHIND_HEADER = 33
"""Where in a PNG file further chunks may stand."""
BROKEN = (b"", b"\0", b"\xff" * 3, b"MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0II*\0\xff\xff\xff\xff", b"a\0\0" + b"x" * 40)
ANCILLARY = (
    *(b"eXIf", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"hIST", b"pHYs", b"sPLT", b"tIME"),
    *(b"tEXt", b"zTXt", b"iTXt", b"acTL", b"fcTL", b"fdAT", b"caBX", b"vpAg", b"prVt"),
)
"""Names of chunks of which no pixel depends."""
WRONG_TYPES = [(0x011A, 2, b"72/1"), (0x0128, 2, b"2\0\0\0"), (0x0100, 2, b"abc\0"), (0x8825, 5, b"\xff\xff\xff\xff")]
"""Tags of EXIF with a type that they may not have: resolutions and sizes as text, a position that leads nowhere."""


def tiff(order: str, entries: list[tuple[int, int, bytes]]) -> bytes:
    """EXIF with these tags, types and values."""
    rows = [struct.pack(f"{order}HHI", tag, kind, 4 if kind == 2 else 1) + value for tag, kind, value in entries]
    start = {"<": b"II*\0", ">": b"MM\0*"}[order]
    return start + struct.pack(f"{order}IH", 8, len(rows)) + b"".join(rows) + bytes(4)


@pytest.mark.parametrize("name", ANCILLARY)
def test_a_broken_chunk_beside_the_pixels_decides_nothing(name: bytes) -> None:
    """Whether or not its checksum is right, before the pixels or behind them."""
    clean = saved(COLOUR, "PNG")
    expected = decode(clean, SETTINGS)
    for content in BROKEN:
        right = chunk(name, content)
        for more in (right, right[:-4] + b"oops"):
            for file in (clean[:BEHIND_HEADER] + more + clean[BEHIND_HEADER:], clean[:-12] + more + clean[-12:]):
                np.testing.assert_array_equal(decode(file, SETTINGS), expected)


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
def test_a_broken_segment_beside_the_pixels_decides_nothing(marker: int) -> None:
    """Whatever it begins with; JFIF and Adobe, which say what the colours are, only where they are whole."""
    clean = saved(SMOOTH, "JPEG")
    expected = decode(clean, SETTINGS)
    begin = (b"", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0\1\2", b"MPF\0", b"Photoshop 3.0\0")
    for start in (*begin, b"JFIF\0\1", b"JFXX\0\x10", b"Adobe\0d"):
        for content in BROKEN:
            more = start + content[:4] if start[:5] in (b"Adobe", b"JFIF\0") else start + content
            file = with_segment(clean, marker, more)
            np.testing.assert_array_equal(decode(file, SETTINGS), expected)


@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"ICCP", b"ABCD", b"ALPH"])
def test_a_broken_chunk_of_webp_decides_nothing(name: bytes) -> None:
    """Before the picture or behind it; alpha only where it belongs."""
    clean = saved(SMOOTH, "WEBP")
    expected = decode(clean, SETTINGS)
    for content in BROKEN:
        more = name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        places = (clean[12:] + more,) if name == b"ALPH" else (clean[12:] + more, more + clean[12:])
        for chunks in places:
            file = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
            np.testing.assert_array_equal(decode(file, SETTINGS), expected)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("tag", WRONG_TYPES, ids=lambda tag: f"{tag[0]:#x}")
def test_a_tag_of_a_wrong_type_does_not_hide_the_orientation(
    kind: str, order: str, tag: tuple[int, int, bytes]
) -> None:
    """The picture is turned as it says, and the rest is not looked at."""
    content = tiff(order, sorted([tag, (0x0112, 3, struct.pack(f"{order}HH", 6, 0))]))
    turned = saved(SMOOTH, kind, exif=exif(6))

    file = saved(SMOOTH, kind, exif=b"Exif\0\0" + content)

    assert (look(file).height, look(file).width) == (SMOOTH.shape[1], SMOOTH.shape[0])
    np.testing.assert_array_equal(decode(file, SETTINGS), decode(turned, SETTINGS))


@pytest.mark.parametrize("value", [(2, b"6\0\0\0"), (3, b"\xff\xff\0\0"), (5, b"\6\0\0\0"), (12, b"\6\0\0\0")])
def test_an_orientation_that_is_none_leaves_the_picture_as_it_is(value: tuple[int, bytes]) -> None:
    """A text, a number that means nothing, or a fraction."""
    file = saved(SMOOTH, "JPEG", exif=b"Exif\0\0" + tiff("<", [(0x0112, *value)]))

    np.testing.assert_array_equal(decode(file, SETTINGS), decode(saved(SMOOTH, "JPEG"), SETTINGS))


FLIPPED = {
    "grey": saved(GREY[:4, :5].copy(), "PNG"),
    "palette and alpha": palette(b"\0\x40\x80\xc0\xff"),
    "one colour transparent": saved(COLOUR[:3, :4].copy(), "PNG", transparency=tuple(map(int, COLOUR[1, 1]))),
    "texts beside": saved(COLOUR[:3, :4].copy(), "PNG", dpi=(300, 300), icc_profile=b"profile"),
}


def flips(file: bytes) -> Iterator[bytes]:
    """The file with each of its bits turned over."""
    for place in range(8 * len(file)):
        changed = bytearray(file)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


@pytest.mark.parametrize("name", FLIPPED)
def test_a_flipped_bit_of_a_png_file_makes_no_other_picture(name: str) -> None:
    """Each of all: the file is refused, or has the pixels that it had."""
    file = FLIPPED[name]
    expected = decode(file, SETTINGS)
    refused = 0
    for changed in flips(file):
        try:
            np.testing.assert_array_equal(decode(changed, SETTINGS), expected)
        except InvalidImage:
            refused += 1

    assert refused >= 8 * (len(file) - 100)


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"])
def test_a_wrong_checksum_of_what_makes_pixels_is_named(name: bytes) -> None:
    """Damage is not taken for an image."""
    file = bytearray(palette(b"\0\x40\x80\xc0\xff"))
    at = file.index(name)
    length = struct.unpack_from(">I", file, at - 4)[0]
    file[at + 4 + length] ^= 1

    with pytest.raises(InvalidImage, match=f"the checksum of its {name.decode()} chunk is wrong"):
        decode(bytes(file), SETTINGS)


def test_a_damaged_chunk_that_says_a_turn_is_named() -> None:
    """Without a checksum nobody knows whether it does."""
    turned = chunk(b"eXIf", exif_of(6))
    file = saved(COLOUR, "PNG")

    for damaged in (turned[:-1] + b"!", turned.replace(b"eXIf", b"eXIg")):
        with pytest.raises(InvalidImage, match="damaged: the checksum of a eXI. chunk is wrong, which"):
            decode(file[:BEHIND_HEADER] + damaged + file[BEHIND_HEADER:], SETTINGS)


def test_a_chunk_that_no_standard_knows_is_not_passed_over_where_its_name_says_that_it_counts() -> None:
    """The first letter of its name is a capital."""
    file = PNG + saved(COLOUR, "PNG")[8:BEHIND_HEADER] + chunk(b"NEWs", b"1") + saved(COLOUR, "PNG")[BEHIND_HEADER:]

    with pytest.raises(InvalidImage, match="requires its NEWs chunk"):
        decode(file, SETTINGS)
