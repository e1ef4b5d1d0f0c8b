import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import Content, decode, look, look_and_decode

ORIENTATION = 0x0112
GREY = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, 255 - GREY, GREY[::-1]], axis=2)
AS_COLOUR = PixelSettings(height=6, width=8, channels=3)
AS_GREY = PixelSettings(height=6, width=8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)
    return file.getvalue()


def lying(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width: int, height: int) -> bytes:
    """A whole PNG file of a hundred bytes that says it is this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def jpeg_of_size(width: int, height: int) -> bytes:
    """A JPEG file whose header says that it is this large."""
    file = bytearray(encoded(COLOUR, "JPEG"))
    frame = file.index(b"\xff\xc0")
    file[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(file)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_grey_png_comes_back_as_it_was(pixels: np.ndarray) -> None:
    """Pixels that were saved without loss and need no resizing are the model's input, bit for bit."""
    decoded = decode(encoded(pixels), PixelSettings(height=pixels.shape[0], width=pixels.shape[1]))

    np.testing.assert_array_equal(decoded, pixels, strict=True)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([2, 3, 4]))))
def test_a_colour_png_comes_back_as_it_was(pixels: np.ndarray) -> None:
    """The same with two, three and four channels."""
    decoded = decode(encoded(pixels), PixelSettings.of(pixels.shape))

    np.testing.assert_array_equal(decoded, pixels, strict=True)


def test_a_jpeg_comes_back_nearly_as_it_was() -> None:
    """A JPEG file of good quality gives the pixels up to its own loss."""
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    grey = decode(encoded(smooth, "JPEG", quality=95), PixelSettings(height=32, width=48))
    colour = decode(encoded(smooth, "JPEG", quality=95), PixelSettings(height=32, width=48, channels=3))

    assert grey.shape == (32, 48)
    assert np.abs(grey.astype(int) - smooth).max() <= 3
    np.testing.assert_array_equal(colour, np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_shape_is_the_settings(kind: str, channels: int | None) -> None:
    """Any image becomes uint8 of the height, width and channels that the model takes."""
    settings = PixelSettings(height=5, width=3, channels=channels)
    decoded = decode(encoded(COLOUR, kind), settings)

    assert decoded.shape == settings.shape == ((5, 3, channels) if channels else (5, 3))
    assert decoded.dtype == np.uint8


@pytest.mark.parametrize("shape", [(7, 5, 3), (7, 5, 3, 1), (7, 5, 3, 4)])
def test_settings_follow_from_images(shape: tuple[int, ...]) -> None:
    """The settings of a stack of images have the shape of one of them."""
    assert PixelSettings.of(shape[1:]).shape == shape[1:]


@pytest.mark.parametrize(
    ("pixels", "ends"),
    [
        (AS_GREY, "16-bit files use all 16 bits, stretched to the input size"),
        (PixelSettings(height=6, width=8, bits=12, fit="crop"), "16-bit files use 12 bits, cropped to the middle"),
    ],
)
def test_settings_are_described_in_a_line(pixels: PixelSettings, ends: str) -> None:
    """The used bits, and how other proportions are fitted."""
    assert str(pixels) == f"decoding rules 4: transparent parts on #ffffff, {ends}"


def test_resizing_keeps_the_mean() -> None:
    """A large image is averaged down, not sampled: stripes become grey."""
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    decoded = decode(encoded(stripes), PixelSettings(height=8, width=8))

    assert np.abs(decoded.astype(int) - 128).max() <= 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_is_put_upright(kind: str, orientation: int) -> None:
    """Whichever way the camera was held, the picture comes out as it is to be looked at."""
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :16] = 255
    undone = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 3, 8: 3}[orientation]
    stored = np.rot90(upright[:, ::-1] if orientation in (2, 4, 5, 7) else upright, undone)
    file = encoded(np.ascontiguousarray(stored), kind, exif=lying(orientation))

    np.testing.assert_array_equal(decode(file, PixelSettings(height=16, width=32)) > 127, upright > 127)
    assert look(file) == look_and_decode(file, AS_GREY).content == Content(16, 32, colour=False)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_none(orientation: int) -> None:
    """An orientation that EXIF does not define leaves the picture as it is."""
    file = encoded(GREY, exif=lying(orientation))

    np.testing.assert_array_equal(decode(file, AS_GREY), GREY)
    assert look(file) == Content(6, 8, colour=False)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_orientation_is_none() -> None:
    """A picture is read although its EXIF part is cut short."""
    whole = encoded(GREY, "JPEG", exif=lying(6))
    length = whole.index(b"Exif") - 2
    exif_size = int.from_bytes(whole[length : length + 2], "big")
    file = whole[:length] + (18).to_bytes(2, "big") + whole[length + 2 : length + 18] + whole[length + exif_size :]

    assert decode(file, AS_GREY).shape == (6, 8)
    assert look(file) == Content(6, 8, colour=False)


def test_sixteen_bits_are_scaled() -> None:
    """A 16-bit PNG keeps its whole range: 65535 is white, 32768 is the middle, and nothing is cut off above 255."""
    pixels = np.array([[0, 255, 256], [32768, 65280, 65535]], np.uint16)
    decoded = decode(encoded(pixels), PixelSettings(height=2, width=3))

    assert decoded.tolist() == [[0, 0, 1], [128, 255, 255]]


def test_sixteen_bits_may_lie_on_their_side() -> None:
    """A 16-bit PNG is put upright and coloured like any other."""
    pixels = np.array([[0, 65535], [0, 65535], [0, 65535]], np.uint16)
    decoded = decode(encoded(pixels, exif=lying(6)), PixelSettings(height=2, width=3, channels=3))

    assert decoded[:, :, 0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize(
    ("mode", "colour"),
    [("1", False), ("L", False), ("LA", False), ("I;16", False), ("P", True), ("RGB", True), ("RGBA", True)],
)
def test_every_mode_of_png_is_read(mode: str, colour: bool) -> None:
    """One bit to sixteen, palette, transparency: black and white are the same in all, and each tells if it is grey."""
    picture = np.where(GREY > 120, 255, 0).astype(np.uint8)
    sixteen = Image.fromarray(picture.astype(np.uint16) * 257)
    file = encoded(sixteen if mode == "I;16" else Image.fromarray(picture).convert(mode))

    with Image.open(io.BytesIO(file)) as image:
        assert image.mode == mode
    np.testing.assert_array_equal(decode(file, AS_GREY), picture)
    np.testing.assert_array_equal(decode(file, AS_COLOUR), np.stack([picture] * 3, axis=2))
    assert look(file) == look_and_decode(file, AS_GREY).content == Content(6, 8, colour)


def test_a_palette_is_looked_up() -> None:
    """The pixels of a palette image are its colours, not positions in the palette."""
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    settings = PixelSettings(height=2, width=2, channels=3)
    expected = np.array([[[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0]]], np.uint8)

    np.testing.assert_array_equal(decode(encoded(image), settings), expected)


def test_a_cmyk_jpeg_is_read() -> None:
    """A JPEG file made for printing becomes colour."""
    red = Image.new("CMYK", (8, 6), (0, 255, 255, 0))
    decoded = decode(encoded(red, "JPEG", quality=95), AS_COLOUR)

    assert np.abs(decoded.astype(int) - (255, 0, 0)).max() <= 8
    assert look(encoded(red, "JPEG")) == Content(6, 8, colour=True)


def test_a_camera_may_add_a_preview() -> None:
    """Of a JPEG file with more pictures behind the first, as phones write them, the first is taken."""
    file = encoded(COLOUR, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))])

    np.testing.assert_array_equal(decode(file, AS_COLOUR), decode(encoded(COLOUR, "JPEG"), AS_COLOUR))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_image_is_refused(kind: str, kept: float) -> None:
    """A file that ends too early is refused instead of filled up with grey."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    file = encoded(noise, kind)

    with pytest.raises(InvalidImage):
        decode(file[: int(kept * len(file))], AS_GREY)


def test_the_size_of_a_truncated_png_is_refused() -> None:
    """Looking for the size of a PNG file that ends too early raises InvalidImage, as decoding it does."""
    file = encoded(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))

    with pytest.raises(InvalidImage, match="truncated"):
        look(file[: len(file) // 2])


def test_an_animation_is_refused() -> None:
    """A PNG file with several frames is not one picture."""
    file = encoded(GREY, save_all=True, append_images=[Image.fromarray(GREY[::-1].copy())])

    with pytest.raises(InvalidImage, match="animated"):
        decode(file, AS_GREY)
    with pytest.raises(InvalidImage, match="animated"):
        look(file)


@pytest.mark.parametrize(("kind", "name"), [("GIF", "a GIF"), ("BMP", "a BMP"), ("TIFF", "a TIFF"), ("PPM", "a PNM")])
def test_other_formats_are_refused(kind: str, name: str) -> None:
    """By what they are, however the bytes were named by the caller."""
    with pytest.raises(InvalidImage, match=f"expected PNG, JPEG or WebP; found {name} picture"):
        decode(encoded(COLOUR, kind), AS_COLOUR)


@pytest.mark.parametrize(
    "file",
    [
        png_of_size(8_001, 8_000),
        png_of_size(10_000, 10_000),
        png_of_size(100_000, 100_000),
        png_of_size(2**31 - 1, 2**31 - 1),
        jpeg_of_size(65_000, 65_000),
        jpeg_of_size(1_000, 64_001),
    ],
    ids=["png 64M", "png 100M", "png 10G", "png largest", "jpeg 4G", "jpeg 64M"],
)
def test_enormous_sizes_are_refused(file: bytes) -> None:
    """A small file that says it has over 64 million pixels is refused for its header, not for its pixels."""
    with pytest.raises(InvalidImage, match="pixels"):
        decode(file, AS_COLOUR)
    with pytest.raises(InvalidImage, match="pixels"):
        look(file)


@given(st.binary(max_size=100) | st.binary(max_size=100).map(b"\x89PNG\r\n\x1a\n".__add__))
def test_garbage_is_refused(content: bytes) -> None:
    """Bytes that are no image raise InvalidImage, never anything else."""
    with pytest.raises(InvalidImage):
        decode(content, AS_COLOUR)
    with pytest.raises(InvalidImage):
        look(content)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@settings(deadline=None)  # a damaged header may say that there is much to decode
@given(data=st.data())
def test_damage_is_refused_or_harmless(kind: str, data: st.DataObject) -> None:
    """Whatever bytes are changed: InvalidImage is raised, or pixels of the right shape come out; nothing else."""
    file = bytearray(encoded(COLOUR, kind, exif=lying(6)))
    for place in data.draw(st.lists(st.integers(2, len(file) - 1), min_size=1, max_size=5)):
        file[place] = data.draw(st.integers(0, 255))
    try:
        shape = decode(bytes(file), AS_COLOUR).shape
    except InvalidImage:
        return

    assert shape == (6, 8, 3)
    assert min(look(bytes(file)).height, look(bytes(file)).width) > 0
