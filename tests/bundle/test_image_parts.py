"""What an image file holds besides pixels: nothing of it is read, except which way up the picture is."""

import io
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from tests.hostile.images import HOSTILE, chunk, jpeg, png, with_scans, with_segment
from vouch.bundle.errors import InvalidImage
from vouch.bundle.image_parts import MAX_SCANS, image_parts
from vouch.bundle.images.orientation import ORIENTATION
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode, decode_bytes, decode_parts, look

AS_COLOUR = PixelSettings(height=20, width=30, channels=3)
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
EXIF_PROFILE = "Raw profile type exif"
Saved = Callable[[int], bytes]


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    PICTURE.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    return made


def xmp(orientation: int) -> str:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'


def with_text(keyword: str, text: str, packed: bool) -> bytes:
    info = PngImagePlugin.PngInfo()
    if keyword == EXIF_PROFILE:
        info.add_text(keyword, text, zip=packed)
    else:
        info.add_itxt(keyword, text, zip=packed)
    return saved("PNG", pnginfo=info)


def exif_profile(orientation: int, packed: bool) -> bytes:
    content = exif(orientation).tobytes()
    return with_text(EXIF_PROFILE, f"\nexif\n{len(content):8}\n{content.hex()}\n", packed)


WAYS: dict[str, Saved] = {
    "JPEG, EXIF": lambda orientation: saved("JPEG", exif=exif(orientation)),
    "JPEG, XMP": lambda orientation: saved("JPEG", xmp=xmp(orientation).encode()),
    "JPEG, EXIF and XMP": lambda orientation: saved("JPEG", exif=exif(orientation), xmp=xmp(3).encode()),
    "PNG, EXIF": lambda orientation: saved("PNG", exif=exif(orientation)),
    "PNG, XMP": lambda orientation: with_text("XML:com.adobe.xmp", xmp(orientation), packed=False),
    "PNG, packed XMP": lambda orientation: with_text("XML:com.adobe.xmp", xmp(orientation), packed=True),
    "PNG, EXIF profile": lambda orientation: exif_profile(orientation, packed=False),
    "PNG, packed EXIF profile": lambda orientation: exif_profile(orientation, packed=True),
}


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("way", WAYS)
def test_a_picture_stands_as_pillow_would_put_it(way: str, orientation: int) -> None:
    """However a file says which way up it is, and if what it says is no orientation."""
    file = WAYS[way](orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
    as_it_stands = PixelSettings(height=upright.height, width=upright.width, channels=3)

    np.testing.assert_array_equal(decode(file, as_it_stands), np.asarray(upright))
    assert (look(file).height, look(file).width) == (upright.height, upright.width)


def test_what_makes_no_pixels_is_cut_out() -> None:
    """Profiles, texts and previews; the pixels stay what they were."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "a" * 3_000_000, zip=True)
    pictures = {
        "PNG": saved("PNG", pnginfo=info, icc_profile=b"profile" * 1000, exif=exif(1)),
        "JPEG": saved("JPEG", icc_profile=b"profile" * 1000, exif=exif(1), comment=b"words"),
    }
    for kind, file in pictures.items():
        np.testing.assert_array_equal(decode(file, AS_COLOUR), decode(saved(kind), AS_COLOUR))
        assert len(image_parts(file).encoded) <= len(saved(kind))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_costs_little(name: str) -> None:
    """Looked at and decoded, it is refused or read in a moment, where it could take minutes, without 100 MB more."""
    file = HOSTILE[name]()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    began, memory = time.process_time(), peak_mb()
    for read in (look, lambda encoded: decode(encoded, AS_COLOUR)):
        with suppress(InvalidImage):
            read(file)

    assert time.process_time() - began < 10
    assert peak_mb() - memory < 100


def peak_mb() -> int:
    """The most memory that this process has held."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def test_as_many_scans_are_taken_as_the_size_allows() -> None:
    """A small picture may have a hundred, the largest has ten, as progressive files usually do."""
    small = with_scans(jpeg(64, 64, progressive=True), MAX_SCANS)
    large = jpeg(8000, 8000, progressive=True)

    assert decode(small, AS_COLOUR).shape == (20, 30, 3)
    assert image_parts(large).scans == 10
    with pytest.raises(InvalidImage, match=r"64 x 64 pixels in 101 scans; the limit for this size is 100"):
        decode(with_scans(small, MAX_SCANS + 1), AS_COLOUR)
    with pytest.raises(InvalidImage, match=r"in 11 scans; the limit for this size is 10"):
        decode(with_scans(large, 11), AS_COLOUR)


def test_what_lies_behind_the_picture_is_not_looked_at() -> None:
    """Cameras put a film there; random bytes have the marker of a scan once in 64 KiB."""
    picture = jpeg(4000, 3000)
    film = b"\xff\xda" * 100 + np.random.default_rng(0).bytes(1_000_000)

    assert image_parts(picture + film) == image_parts(picture)


def test_scans_of_a_preview_are_not_counted() -> None:
    """Cameras put a small JPEG file into a large one's EXIF."""
    preview = with_scans(jpeg(64, 64, progressive=True), MAX_SCANS)

    assert image_parts(with_segment(jpeg(64, 64), 0xE1, b"Exif\0\0" + preview)).scans == 1


@pytest.mark.parametrize("file", [png(65_536, 1), png(1, 65_536)], ids=["wide", "high"])
def test_a_side_is_bounded(file: bytes) -> None:
    """As JPEG bounds it: the longer a side, the more memory resizing takes."""
    with pytest.raises(InvalidImage, match="at most 65,535 are taken on a side"):
        decode(file, AS_COLOUR)


def test_what_resizing_takes_is_bounded() -> None:
    """The width is made first, so that a high picture of few pixels becomes one of many."""
    high = png(1, 65_535)

    assert decode(high, AS_COLOUR).shape == (20, 30, 3)
    with pytest.raises(InvalidImage, match=r"65,535 pixels high; made 1,000 pixels wide it has more than 64,000,000"):
        decode(high, PixelSettings(height=1000, width=1000))


def test_a_picture_that_ends_too_early_may_lack_its_end_alone() -> None:
    """The last chunk of a PNG file says nothing; what is cut in the middle of pixels is refused."""
    file = saved("PNG")

    np.testing.assert_array_equal(decode(file[:-12], AS_COLOUR), decode(file, AS_COLOUR))
    with pytest.raises(InvalidImage, match="truncated"):
        decode(file[:-40], AS_COLOUR)


def test_an_animation_of_one_picture_is_a_picture() -> None:
    """Some programs write every PNG file as an animation."""
    one = png(8, 8, more=chunk(b"acTL", bytes((0, 0, 0, 1, 0, 0, 0, 0))))

    assert decode(one, AS_COLOUR).shape == (20, 30, 3)


def test_two_sizes_are_refused() -> None:
    """A decoder and whoever bounds its work may not see different pictures."""
    file = png(8, 8)
    twice = file.replace(b"IDAT", b"IHDR", 1)

    with pytest.raises(InvalidImage):
        decode(twice, AS_COLOUR)


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": exif(6)}], ids=["lossy", "lossless", "turned"])
def test_memory_for_webp_is_known_before(options: dict[str, object]) -> None:
    """Its canvases, and their copy, which Pillow makes of it beside the picture."""
    large = PICTURE.resize((1600, 1200))
    file = io.BytesIO()
    large.save(file, "WEBP", **options)
    parts = image_parts(file.getvalue())
    expected = decode_bytes(parts, AS_COLOUR)
    decode_parts(parts, AS_COLOUR)  # what it loads stays
    Path("/proc/self/clear_refs").write_text("5")
    memory = peak_mb()
    decode_parts(parts, AS_COLOUR)

    assert peak_mb() - memory <= 1.2 * expected / 2**20
    assert expected < 40 * parts.width * parts.height
