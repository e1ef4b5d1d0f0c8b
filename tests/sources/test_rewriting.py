"""Files of kinds that callers cannot send become PNG without loss, or are refused with what they are."""

import io
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from tests.bundle.odd_images import ALPHA, COLOUR, GREY, HEIGHT, IMAGES, SMOOTH, WIDTH, palette, saved
from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode, look, look_and_decode
from vouch.sources.rewriting import as_callers_send

Make = Callable[[], bytes]
AS_IT_IS = PixelSettings(height=HEIGHT, width=WIDTH, channels=4)
INDEXED = Image.open(io.BytesIO(palette()))
DEEP = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 851
DEEP_COLOUR = np.stack([DEEP, DEEP[::-1], 65_535 - DEEP], axis=2)

SAME: dict[str, tuple[Make, Make]] = {
    "BMP in colour": (lambda: saved(COLOUR, "BMP"), lambda: saved(COLOUR, "PNG")),
    "BMP in grey": (lambda: saved(GREY, "BMP"), lambda: saved(GREY, "PNG")),
    "BMP of 1 bit": (
        lambda: saved(Image.fromarray(GREY).convert("1"), "BMP"),
        lambda: saved(Image.fromarray(GREY).convert("1"), "PNG"),
    ),
    "BMP with a palette": (lambda: saved(INDEXED, "BMP"), palette),
    "GIF": (lambda: saved(INDEXED, "GIF"), palette),
    "GIF in grey": (lambda: saved(GREY, "GIF"), lambda: saved(GREY, "PNG")),
    "GIF, one colour transparent": (lambda: saved(INDEXED, "GIF", transparency=2), lambda: palette(2)),
    "GIF of several pictures": (
        lambda: saved(INDEXED, "GIF", save_all=True, append_images=[INDEXED.rotate(180)]),
        palette,
    ),
    "TIFF in colour": (lambda: saved(COLOUR, "TIFF"), lambda: saved(COLOUR, "PNG")),
    "TIFF in grey": (lambda: saved(GREY, "TIFF"), lambda: saved(GREY, "PNG")),
    "TIFF of 1 bit": (
        lambda: saved(Image.fromarray(GREY).convert("1"), "TIFF"),
        lambda: saved(Image.fromarray(GREY).convert("1"), "PNG"),
    ),
    "TIFF with a palette": (lambda: saved(INDEXED, "TIFF"), palette),
    "TIFF and alpha": (
        lambda: saved(np.dstack([COLOUR, ALPHA]), "TIFF"),
        lambda: saved(np.dstack([COLOUR, ALPHA]), "PNG"),
    ),
    "TIFF, grey and alpha": (
        lambda: saved(np.dstack([GREY, ALPHA]), "TIFF"),
        lambda: saved(np.dstack([GREY, ALPHA]), "PNG"),
    ),
    "TIFF, LZW": (lambda: saved(COLOUR, "TIFF", compression="tiff_lzw"), lambda: saved(COLOUR, "PNG")),
    "TIFF, deflated": (lambda: saved(COLOUR, "TIFF", compression="tiff_adobe_deflate"), lambda: saved(COLOUR, "PNG")),
    "TIFF, fax": (
        lambda: saved(Image.fromarray(GREY).convert("1"), "TIFF", compression="group4"),
        lambda: saved(Image.fromarray(GREY).convert("1"), "PNG"),
    ),
    "TIFF of inks": (
        lambda: saved(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"),
        lambda: saved(Image.fromarray(COLOUR).convert("CMYK").convert("RGB"), "PNG"),
    ),
    "TIFF of several pages": (
        lambda: saved(COLOUR, "TIFF", save_all=True, append_images=[Image.fromarray(COLOUR[::-1].copy())]),
        lambda: saved(COLOUR, "PNG"),
    ),
    "TIFF of 16 bits": (lambda: saved(DEEP, "TIFF"), lambda: saved(DEEP, "PNG")),
    "TIFF of 16 bits, deflated": (
        lambda: saved(DEEP, "TIFF", compression="tiff_adobe_deflate"),
        lambda: saved(DEEP, "PNG"),
    ),
}
"""Files, and PNG files of the same picture."""


@pytest.mark.parametrize("name", SAME)
def test_the_picture_is_that_of_a_png_file(name: str) -> None:
    """Pixel by pixel, alpha included; and it is grey or coloured as that one is."""
    made, expected = (make() for make in SAME[name])
    sent = as_callers_send(made)

    assert sent.startswith(b"\x89PNG")
    assert look(sent) == look(expected)
    np.testing.assert_array_equal(decode(sent, AS_IT_IS), decode(expected, AS_IT_IS))
    assert look_and_decode(sent, AS_IT_IS).depth == look_and_decode(expected, AS_IT_IS).depth


@pytest.mark.parametrize("name", [name for name in IMAGES if name[:3] in ("PNG", "JPE", "Web")][::5])
def test_what_callers_can_send_stays_as_it_is(name: str) -> None:
    """To the byte, whatever is in it: the decoder looks at it."""
    file = IMAGES[name]()

    assert as_callers_send(file) is file


def deep_tiff(order: str, samples: np.ndarray, colours: int, *more: tuple[int, int, int]) -> bytes:
    """A TIFF file of 16-bit samples, as Pillow cannot write it.

    Args:
        order: of bytes, `<` or `>`.
        colours: how TIFF numbers what samples mean.
        more: further tags with type and value.
    """
    content = samples.astype(f"{order}u2").tobytes()
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits_at = 8 + len(content)
    tags = [
        (256, 3, samples.shape[1]),
        (257, 3, samples.shape[0]),
        (259, 3, 1),
        (262, 3, colours),
        (273, 4, 8),
        (277, 3, channels),
        (278, 3, samples.shape[0]),
        (279, 4, len(content)),
        *more,
    ]
    rows = [(258, struct.pack(f"{order}HI", 3, channels) + struct.pack(f"{order}I", bits_at))]
    if channels == 1:
        rows = [(258, struct.pack(f"{order}HIHH", 3, 1, 16, 0))]
    rows += [
        (tag, struct.pack(f"{order}HI", kind, 1) + struct.pack(f"{order}HH" if kind == 3 else f"{order}I", *values))
        for tag, kind, value in tags
        for values in [(value, 0) if kind == 3 else (value,)]
    ]
    directory_at = bits_at + 2 * channels
    directory = struct.pack(f"{order}H", len(rows)) + b"".join(
        struct.pack(f"{order}H", tag) + rest for tag, rest in sorted(rows)
    )
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory_at)
    return start + content + struct.pack(f"{order}{channels}H", *[16] * channels) + directory + bytes(4)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("bits", [10, 16])
def test_all_sixteen_bits_of_colour_are_kept(order: str, bits: int) -> None:
    """Which of them count is said later: of 10 bits the highest 8 are taken."""
    samples = DEEP_COLOUR >> (16 - bits)
    sent = as_callers_send(deep_tiff(order, samples, 2))
    settings = AS_IT_IS.model_copy(update={"channels": 3, "bits": bits})

    np.testing.assert_array_equal(decode(sent, settings), samples >> (bits - 8))


@pytest.mark.parametrize(("order", "colours"), [("<", 1), (">", 1), ("<", 0)])
def test_sixteen_bits_of_grey_are_as_they_are_seen(order: str, colours: int) -> None:
    """In either order of bytes; where zero is white they are turned over, as those of 8 bits are."""
    sent = as_callers_send(deep_tiff(order, DEEP, colours))
    seen = DEEP if colours else 65_535 - DEEP

    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sent))), seen)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_stands_upright(orientation: int) -> None:
    """As its own tag says; the PNG file is upright by itself."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[0x0112] = orientation
    turned = saved(SMOOTH, "TIFF", tiffinfo=info)
    same = saved(SMOOTH, "PNG", exif=info_as_exif(orientation))
    size = (look(same).height, look(same).width)
    settings = PixelSettings(height=size[0], width=size[1], channels=3)

    np.testing.assert_array_equal(decode(as_callers_send(turned), settings), decode(same, settings))


def info_as_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("tag", [270, 282, 296, 305, 33432, 34665, 34675, 34853, 700])
def test_tags_that_nobody_needs_are_not_read(tag: int) -> None:
    """Of a wrong type, or leading behind the end."""
    broken = deep_tiff("<", DEEP_COLOUR, 2, (tag, 4, 4_000_000_000))
    lying = broken.replace(struct.pack("<HHI", tag, 4, 1), struct.pack("<HHI", tag, 5, 9))

    for file in (broken, lying):
        assert as_callers_send(file) == as_callers_send(deep_tiff("<", DEEP_COLOUR, 2))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_a_file_that_is_cut_off_makes_no_other_picture(kind: str) -> None:
    """Wherever it ends: it is refused, or what is lacking says nothing."""
    file = saved(COLOUR, kind)
    expected = decode(as_callers_send(file), AS_IT_IS)
    refused = 0
    for length in range(len(file)):
        try:
            np.testing.assert_array_equal(decode(as_callers_send(file[:length]), AS_IT_IS), expected)
        except InvalidImage:
            refused += 1

    assert refused >= len(file) - 4


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_damage_is_refused_or_makes_a_picture(kind: str) -> None:
    """Whatever bytes are changed, no other error is raised."""
    file = saved(COLOUR, kind)
    random = np.random.default_rng(0)
    for _ in range(200):
        changed = bytearray(file)
        for place in random.integers(0, len(file), 3):
            changed[place] = random.integers(0, 256)
        with suppress(InvalidImage):
            assert decode(as_callers_send(bytes(changed)), AS_IT_IS).shape == AS_IT_IS.shape


def bmp_of_size(width: int, height: int) -> bytes:
    file = bytearray(saved(GREY, "BMP"))
    file[18:26] = struct.pack("<ii", width, height)
    return bytes(file)


def gif_of_size(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)


def tiff_of_size(width: int, height: int) -> bytes:
    file = deep_tiff("<", DEEP, 1)
    for tag, old, new in ((256, WIDTH, width), (257, HEIGHT, height)):
        file = file.replace(struct.pack("<HHIHH", tag, 3, 1, old, 0), struct.pack("<HHII", tag, 4, 1, new))
    return file


@pytest.mark.parametrize("make", [bmp_of_size, gif_of_size, tiff_of_size])
def test_an_enormous_picture_is_refused_for_its_header(make: Callable[[int, int], bytes]) -> None:
    """Before anything is decoded."""
    with pytest.raises(InvalidImage, match="50,000 x 50,000 pixels; at most 64,000,000"):
        as_callers_send(make(50_000, 50_000))


@pytest.mark.parametrize("make", [bmp_of_size, tiff_of_size])
def test_a_picture_without_pixels_is_refused(make: Callable[[int, int], bytes]) -> None:
    """With the size that it says."""
    with pytest.raises(InvalidImage, match="0 x 9 pixels"):
        as_callers_send(make(0, 9))


HOSTILE: dict[str, Make] = {
    "TIFF with 60,000 tags that overlap": lambda: (
        b"II*\0"
        + struct.pack("<IH", 8, 60_000)
        + b"".join(struct.pack("<HHII", tag, 7, 700_000, 8) for tag in range(60_000))
        + bytes(4)
    ),
    "TIFF of 6,000 strips that each are the picture": lambda: tiff_of_size(8000, 8000).replace(
        struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 4, 20)
    ),
    "GIF with a million empty texts": lambda: b"GIF89a" + bytes(7) + b"!\xfe\0" * 1_000_000,
    "GIF with a text in a million pieces": lambda: b"GIF89a" + bytes(7) + b"!\xfe" + b"\1a" * 1_000_000,
    "BMP of a palette with 4 billion colours": lambda: saved(GREY, "BMP")[:46] + b"\xff" * 8,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name: str) -> None:
    """It is refused in a moment, where it could take minutes."""
    file = HOSTILE[name]()
    began = time.process_time()
    with pytest.raises(InvalidImage):
        as_callers_send(file)

    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), r"PNG does not support its samples \(F\)"),
        (np.full((3, 4), -1, np.int32), "are -1 to -1; PNG allows 0 to 65,535"),
        (np.full((3, 4), 70_000, np.int32), "70,000; PNG allows 0 to 65,535"),
    ],
)
def test_samples_that_png_cannot_hold_are_refused(pixels: np.ndarray, says: str) -> None:
    """They would be cut off or rounded."""
    with pytest.raises(InvalidImage, match=says):
        as_callers_send(saved(pixels, "TIFF"))


def test_another_kind_is_named() -> None:
    """With all kinds that training takes."""
    with pytest.raises(InvalidImage, match="expected PNG, JPEG, WebP, BMP, GIF or TIFF; found a PDF document"):
        as_callers_send(b"%PDF-1.7")
