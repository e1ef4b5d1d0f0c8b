"""Transparency and 16 bits: the second decoding rules, in right values."""

import io
import struct
import zlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import FIRST_RULES, PixelSettings
from vouch.bundle.pixels import decode, look, look_and_decode
from vouch.bundle.samples import on_ground

GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA = 0, 4, 2, 6
"""PNG's colour types."""
CHANNELS = {GREY: 1, GREY_ALPHA: 2, COLOUR: 3, COLOUR_ALPHA: 4}


def encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: np.ndarray, kind: int, depth: int = 16, key: tuple[int, ...] = (), exif: bytes = b"") -> bytes:
    """A PNG file of these samples, shape (H, W) or (H, W, C), as Pillow cannot write them."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - depth :].reshape(height, -1)
        lines = [np.packbits(row).tobytes() for row in bits]
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if exif:
        parts.append(chunk(b"eXIf", exif.removeprefix(b"Exif\0\0")))
    if key:
        parts.append(chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
    parts.append(chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def settings_for(samples: np.ndarray, channels: int | None = None, **others: Any) -> PixelSettings:
    return PixelSettings(height=samples.shape[0], width=samples.shape[1], channels=channels, **others)


def blended(value: int, alpha: int, ground: int) -> int:
    """To the nearest; with 255 as the denominator nothing lies in the middle."""
    return round(Fraction(value * alpha + ground * (255 - alpha), 255))


@pytest.mark.parametrize("ground", [0, 1, 100, 128, 254, 255])
def test_blending_is_exact(ground: int) -> None:
    """Each of all values under each of all alphas is the nearest whole number, on whatever ground."""
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    wide = value.astype(np.uint32) * alpha + ground * (255 - alpha.astype(np.uint32))
    expected = ((2 * wide + 255) // 510).astype(np.uint8)
    colour = np.dstack([value, value[::-1], 255 - value, alpha])

    grey = on_ground(Image.fromarray(np.dstack([value, alpha]), "LA"), f"#{ground:02x}{ground:02x}{ground:02x}")
    red = on_ground(Image.fromarray(colour, "RGBA"), f"#{ground:02x}00ff").getchannel("R")

    assert expected[77, 200] == blended(200, 77, ground)
    np.testing.assert_array_equal(np.asarray(grey), expected)
    np.testing.assert_array_equal(np.asarray(red), expected)


@pytest.mark.parametrize(
    ("ground", "grey", "colour"),
    [
        ("#ffffff", [255, 127, 0], [[255, 255, 255], [127, 127, 127], [0, 0, 0]]),
        ("#000000", [0, 0, 0], [[0, 0, 0]] * 3),
        ("#ff0000", [76, 38, 0], [[255, 0, 0], [127, 0, 0], [0, 0, 0]]),
    ],
)
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparency_lies_on_the_ground(mode: str, ground: str, grey: list[int], colour: list[list[int]]) -> None:
    """A shape that is drawn in alpha alone, in black, is seen on white and not on black; in grey and in colour."""
    shape = Image.merge("LA", [Image.new("L", (3, 1)), Image.fromarray(np.array([[0, 128, 255]], np.uint8))])
    file = encoded(shape.convert(mode))

    assert decode(file, PixelSettings(height=1, width=3, ground=ground)).tolist() == [grey]
    assert decode(file, PixelSettings(height=1, width=3, channels=3, ground=ground)).tolist() == [colour]


def test_alpha_is_a_channel_where_the_model_takes_it() -> None:
    """Then nothing is blended; a file without alpha is opaque."""
    pixels = np.array([[[10, 20, 30, 0], [40, 50, 60, 128]]], np.uint8)
    settings = PixelSettings(height=1, width=2, channels=4)

    np.testing.assert_array_equal(decode(encoded(Image.fromarray(pixels)), settings), pixels)
    assert decode(encoded(Image.fromarray(pixels[:, :, :3].copy())), settings)[:, :, 3].tolist() == [[255, 255]]


def test_a_palette_may_be_transparent() -> None:
    """By one entry or by an alpha for each: what is seen is the colour on the ground."""
    image = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    settings = PixelSettings(height=1, width=2, channels=3)

    assert decode(encoded(image), settings).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert decode(encoded(image, transparency=1), settings).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    assert decode(encoded(image, transparency=b"\x00\x80"), settings).tolist() == [[[255, 255, 255], [127, 127, 255]]]


@pytest.mark.parametrize(
    ("kind", "depth", "samples", "key", "expected"),
    [
        (GREY, 1, [[0, 1]], (0,), [255, 255]),
        (GREY, 1, [[0, 1]], (1,), [0, 255]),
        (GREY, 2, [[0, 1, 2, 3]], (2,), [0, 85, 255, 255]),
        (GREY, 4, [[0, 1, 14, 15]], (1,), [0, 255, 238, 255]),
        (GREY, 8, [[0, 7, 200]], (7,), [0, 255, 200]),
        (GREY, 8, [[0, 44, 255]], (0,), [255, 44, 255]),
        (GREY, 16, [[256, 257, 258]], (257,), [1, 255, 1]),
        (COLOUR, 8, [[[9, 9, 9], [9, 9, 8]]], (9, 9, 9), [255, 9]),
        (COLOUR, 16, [[[2304, 2304, 2304], [2304, 2304, 2305]]], (2304, 2304, 2305), [9, 255]),
    ],
)
def test_a_colour_may_stand_for_transparent(
    kind: int, depth: int, samples: list[Any], key: tuple[int, ...], expected: list[int]
) -> None:
    """PNG's tRNS names a sample in the depth of the file; all of its bits are compared."""
    pixels = np.array(samples)
    file = png(pixels, kind, depth, key)

    assert decode(file, settings_for(pixels)).tolist() == [expected]
    assert look_and_decode(file, settings_for(pixels)).transparent


def test_a_colour_that_cannot_be_is_none() -> None:
    """A tRNS beyond the depth of the file makes nothing transparent."""
    pixels = np.array([[0, 44, 255]])

    assert decode(png(pixels, GREY, 8, (300,)), settings_for(pixels)).tolist() == pixels.tolist()


@pytest.mark.parametrize("kind", [GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA])
@given(data=st.data(), bits=st.integers(8, 16))
def test_bits_say_which_of_sixteen_are_in_use(kind: int, data: st.DataObject, bits: int) -> None:
    """The highest 8 of them are taken, in grey and in colour, with alpha and without; alpha has always 16."""
    colours = 1 if kind in (GREY, GREY_ALPHA) else 3
    shape = (3, 2, CHANNELS[kind])
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=24, max_size=24))
    samples = np.array(values, np.uint32)[: int(np.prod(shape))].reshape(shape)
    alphas = samples[:, :, colours:] << (16 - bits)
    file = png(np.dstack([samples[:, :, :colours], alphas]) if alphas.size else samples, kind)
    channels = CHANNELS[kind]

    decoded = look_and_decode(file, settings_for(samples, channels, bits=bits))

    np.testing.assert_array_equal(decoded.pixels[:, :, :colours], samples[:, :, :colours] >> (bits - 8))
    np.testing.assert_array_equal(decoded.pixels[:, :, colours:], alphas >> 8)
    assert decoded.depth is not None
    assert decoded.depth[0] <= samples[:, :, :colours].min()
    assert decoded.depth[1] >= samples[:, :, :colours].max()
    assert look(file) == decoded.content
    assert decoded.content.colour == (colours == 3)
    np.testing.assert_array_equal(decode(file, settings_for(samples, channels, bits=bits)), decoded.pixels)


@pytest.mark.parametrize("kind", [GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA])
def test_a_sample_of_more_bits_is_refused(kind: int) -> None:
    """It would be cut off or wrapped around; the sentence names the sample and the setting."""
    samples = np.full((1, 2, CHANNELS[kind]), 1023)
    bad = samples.copy()
    bad[0, 1, 0] = 1024

    assert decode(png(samples, kind), settings_for(samples, bits=10)).shape == (1, 2)
    with pytest.raises(InvalidImage, match=r"a 16-bit sample of 1,024; files of 10 bits \(--bits 10\) hold .* 1,023"):
        decode(png(bad, kind), settings_for(samples, bits=10))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_eight_bits_are_what_they_are(bits: int) -> None:
    """A file of 8 bits is not touched by what is said of 16."""
    pixels = np.array([[0, 3, 255]], np.uint8)

    assert decode(encoded(Image.fromarray(pixels)), settings_for(pixels, bits=bits)).tolist() == [[0, 3, 255]]
    assert look_and_decode(encoded(Image.fromarray(pixels)), settings_for(pixels)).depth is None


@pytest.mark.parametrize("kind", [GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA])
def test_sixteen_bits_may_lie_on_their_side(kind: int) -> None:
    """High and low bytes are turned together."""
    lying = Image.Exif()
    lying[0x0112] = 6
    samples = np.arange(6 * CHANNELS[kind]).reshape(3, 2, -1) * 7
    upright = np.rot90(samples, -1)

    decoded = decode(png(samples, kind, exif=lying.tobytes()), settings_for(upright, CHANNELS[kind], bits=8))

    np.testing.assert_array_equal(decoded[:, :, 0], upright[:, :, 0])


def test_sixteen_bits_with_alpha_lie_on_the_ground() -> None:
    """Reduced to 8 bits first, the samples by what is said of them, alpha from all of its 16."""
    samples = np.array([[[1023, 65535], [512, 32768], [1023, 0]]])
    settings = settings_for(samples, bits=10, ground="#000000")

    assert decode(png(samples, GREY_ALPHA), settings).tolist() == [[255, blended(128, 128, 0), 0]]


def test_an_edge_has_the_ground_in_it() -> None:
    """What is transparent has no colour of its own: resized, a red shape on white goes from red to white alone."""
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:, :, 2] = 255  # blue, where nobody sees it
    pixels[:, :2] = (255, 0, 0, 255)
    flat = np.full((4, 4, 3), 255, np.uint8)
    flat[:, :2] = (255, 0, 0)
    settings = PixelSettings(height=3, width=3, channels=3)

    resized = decode(encoded(Image.fromarray(pixels)), settings)

    np.testing.assert_array_equal(resized, decode(encoded(Image.fromarray(flat)), settings))
    assert resized[:, :, 0].min() == 255


def test_the_first_rules_are_kept() -> None:
    """Alpha is dropped where the model has no channel for it, as it was before rules had a number."""
    pixels = np.array([[[10, 10, 10, 0], [40, 50, 60, 128]]], np.uint8)
    file = encoded(Image.fromarray(pixels))
    first = PixelSettings(rules=FIRST_RULES, height=1, width=2)

    assert decode(file, first).tolist() == [[10, 48]]
    np.testing.assert_array_equal(decode(file, first.model_copy(update={"channels": 3})), pixels[:, :, :3])
    np.testing.assert_array_equal(decode(file, first.model_copy(update={"channels": 4})), pixels)
    assert decode(png(np.array([[256, 65535]]), GREY), first).tolist() == [[1, 255]]
