"""One file gives the same pixels in the trainer, in the server and from a client, or is refused alike in all three."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bundle.odd_images import COLOUR, IMAGES, REFUSED
from vouch.bundle.errors import InvalidImage
from vouch.bundle.pixel_settings import PixelSettings
from vouch.client.images import take
from vouch.server.errors import InvalidRequest
from vouch.server.services.decoder import Decoder
from vouch.sources.decoding import read_batch

SETTINGS = [
    PixelSettings(height=9, width=5),
    PixelSettings(height=7, width=11, channels=3, ground="#102030"),
    PixelSettings(height=7, width=6, channels=3, fit="crop"),
    PixelSettings(height=7, width=6, channels=3, fit="pad", ground="#102030"),
    PixelSettings(height=7, width=11, channels=4),
]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    made = Decoder(cores=1, max_waiting_files=10)
    yield made
    made.close()


def in_the_server(decoder: Decoder, file: bytes, settings: PixelSettings) -> np.ndarray:
    decoded: np.ndarray = asyncio.run(decoder.decode([file], settings))[0]
    return decoded


@pytest.mark.parametrize("name", IMAGES)
def test_an_odd_image_has_the_same_pixels_everywhere(name: str, decoder: Decoder, tmp_path: Path) -> None:
    """Read from a folder by training, decoded by a server, and sent by a client by its path or its bytes."""
    path = tmp_path / "image"
    path.write_bytes(IMAGES[name]())
    sent = [take(given).content[0] for given in (path, path.read_bytes())]

    for settings in SETTINGS:
        (outcome,) = read_batch([path], settings)
        assert not isinstance(outcome, str), outcome
        for file in sent:
            np.testing.assert_array_equal(in_the_server(decoder, bytes(file), settings), outcome[1])


@pytest.mark.parametrize(("kind", "options"), [("BMP", {}), ("GIF", {"transparency": 3}), ("TIFF", {})])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_what_a_server_does_not_take_is_sent_as_png(
    kind: str, options: dict[str, int], mode: str, decoder: Decoder, tmp_path: Path
) -> None:
    """With the pixels that training saw."""
    path = tmp_path / "image"
    Image.fromarray(COLOUR).convert(mode).save(path, kind, **options)
    (sent,) = take(path).content

    for settings in SETTINGS:
        (outcome,) = read_batch([path], settings)
        assert not isinstance(outcome, str), outcome
        np.testing.assert_array_equal(in_the_server(decoder, bytes(sent), settings), outcome[1])


@pytest.mark.parametrize("name", REFUSED)
def test_another_file_is_refused_alike_everywhere(name: str, decoder: Decoder, tmp_path: Path) -> None:
    """With what was found, and with no trace of a program's insides."""
    make, says = REFUSED[name]
    path = tmp_path / "image"
    path.write_bytes(make())
    (outcome,) = read_batch([path], SETTINGS[0])

    assert isinstance(outcome, str)
    with pytest.raises(InvalidRequest, match=says) as refused:
        in_the_server(decoder, make(), SETTINGS[0])
    with pytest.raises(InvalidImage, match=says):
        raise InvalidImage(outcome)
    assert outcome.rpartition("; found ")[2] in str(refused.value)
    assert "object" not in outcome


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_a_server_opens_no_other_kind(kind: str, decoder: Decoder) -> None:
    """It names it, and what it takes; only training and the client rewrite it."""
    beginnings = {"BMP": b"BM" + bytes(12) + b"\x28\0\0\0", "GIF": b"GIF89a", "TIFF": b"II*\0"}

    with pytest.raises(InvalidRequest, match=f"file 0: expected PNG, JPEG or WebP; found a {kind} picture"):
        in_the_server(decoder, beginnings[kind] + bytes(40), SETTINGS[0])
