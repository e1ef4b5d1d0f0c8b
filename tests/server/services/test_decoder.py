"""In which order files are decoded, and what is refused before anything is."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tests.hostile.images import chunk, jpeg, png
from vouch.bundle.image_parts import PIXEL_BYTES, ImageParts
from vouch.bundle.pixel_settings import PixelSettings
from vouch.server.errors import InvalidRequest, Overloaded
from vouch.server.services import decoder as module
from vouch.server.services.decoder import Decoder

SMALL = PixelSettings(height=8, width=8)
TINY_FILE = png(8, 8)
HUGE_FILES = {width: png(width, 8000) for width in (7998, 7999, 8000)}


class Held:
    """In place of decoding: each file waits until it is let go; what has begun is told by its width."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[int] = []
        self.let_go = threading.Semaphore(0)
        self._news = threading.Condition()
        monkeypatch.setattr(module, "decode_parts", self._decode)

    def _decode(self, parts: ImageParts, settings: PixelSettings) -> np.ndarray:
        with self._news:
            self.begun.append(parts.width)
            self._news.notify_all()
        assert self.let_go.acquire(timeout=30)
        return np.zeros(settings.shape, np.uint8)

    async def until(self, count: int) -> list[int]:
        """Waits until so many have begun."""
        await asyncio.to_thread(self._wait, count)
        return self.begun

    def _wait(self, count: int) -> None:
        with self._news:
            assert self._news.wait_for(lambda: len(self.begun) >= count, timeout=30), self.begun


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    hold = Held(monkeypatch)
    yield hold
    for _ in range(100):
        hold.let_go.release()


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    made = Decoder(2, 10, 1 << 16)
    yield made
    made.close()


def sent(decoder: Decoder, *files: bytes) -> "asyncio.Task[np.ndarray]":
    return asyncio.create_task(decoder.decode(files, SMALL))


async def test_one_thread_is_left_to_small_files(decoder: Decoder, held: Held) -> None:
    """However many large ones wait, a small one that comes last begins at once."""
    large = [sent(decoder, file) for file in HUGE_FILES.values()]
    await held.until(1)
    small = sent(decoder, TINY_FILE)

    assert await held.until(2) == [7998, 8]
    for _ in range(4):
        held.let_go.release()
    await asyncio.wait_for(asyncio.gather(*large, small), 30)
    assert held.begun == [7998, 8, 7999, 8000]


async def test_a_cheap_file_goes_before_a_dear_one_that_came_first(decoder: Decoder, held: Held) -> None:
    """Where all threads are taken, by ten times what the dear one costs."""
    calls = [sent(decoder, jpeg(9, 9)), sent(decoder, jpeg(10, 10))]
    await held.until(2)
    calls += [sent(decoder, png(3000, 3000)), sent(decoder, png(16, 16))]
    await asyncio.sleep(0.05)
    for _ in range(4):
        held.let_go.release()

    await asyncio.wait_for(asyncio.gather(*calls), 30)
    assert held.begun == [9, 10, 16, 3000]


async def test_who_left_before_decoding_began_costs_nothing(decoder: Decoder, held: Held) -> None:
    """Their files are forgotten, and others have their room."""
    first = [sent(decoder, TINY_FILE) for _ in range(2)]
    await held.until(2)
    leaving = [sent(decoder, png(100 + k, 8)) for k in range(8)]
    await asyncio.sleep(0.05)
    for call in leaving:
        call.cancel()
    await asyncio.wait(leaving)
    last = sent(decoder, *[png(50, 8)] * 8)
    for _ in range(10):
        held.let_go.release()

    await asyncio.wait_for(asyncio.gather(*first, last), 30)
    assert held.begun == [8, 8] + [50] * 8


async def test_who_left_while_it_was_decoded_keeps_the_thread_until_it_ends(decoder: Decoder, held: Held) -> None:
    """No more threads work than there are."""
    leaving = [sent(decoder, TINY_FILE) for _ in range(2)]
    await held.until(2)
    for call in leaving:
        call.cancel()
    await asyncio.wait(leaving)
    staying = sent(decoder, png(9, 9))
    await asyncio.sleep(0.05)

    assert held.begun == [8, 8]
    for _ in range(3):
        held.let_go.release()
    assert (await asyncio.wait_for(staying, 30)).shape == (1, 8, 8)


async def test_a_broken_file_frees_its_thread(decoder: Decoder) -> None:
    """As one that is read does; the caller is told which it is."""
    broken = TINY_FILE.replace(b"IDAT", b"IDAT\0", 1)
    for _ in range(5):
        with pytest.raises(InvalidRequest, match="file 1"):
            await decoder.decode([TINY_FILE, broken], SMALL)

    assert (await decoder.decode([TINY_FILE] * 5, SMALL)).shape == (5, 8, 8)


async def test_images_of_a_call_are_bounded_before_they_are_made(decoder: Decoder) -> None:
    """A hundred bytes of a file become as many pixels as the model takes."""
    large = PixelSettings(height=128, width=128, channels=3)

    with pytest.raises(InvalidRequest, match=r"2 files take 98,304 bytes .* at most 65,536 are taken, which are 1 im"):
        await decoder.decode([TINY_FILE] * 2, large)
    assert (await decoder.decode([TINY_FILE], large)).shape == (1, 128, 128, 3)


async def test_images_of_all_calls_are_bounded(decoder: Decoder, held: Held) -> None:
    """What does not fit now may come again."""
    large = PixelSettings(height=128, width=128, channels=3)
    first = asyncio.create_task(decoder.decode([TINY_FILE], large))
    await held.until(1)

    with pytest.raises(Overloaded, match="have 49,2.. bytes and at most 65,536 are taken; 49,2.. more do not fit"):
        await decoder.decode([TINY_FILE], large)
    held.let_go.release()
    await first
    again = asyncio.create_task(decoder.decode([TINY_FILE], large))
    held.let_go.release()
    assert (await again).shape == (1, 128, 128, 3)


async def test_too_many_files_are_refused(decoder: Decoder) -> None:
    """Those that wait, over all calls."""
    with pytest.raises(Overloaded, match="at most 10 may; 11 more do not fit"):
        await decoder.decode([TINY_FILE] * 11, SMALL)


async def test_large_files_share_their_memory(monkeypatch: pytest.MonkeyPatch, held: Held) -> None:
    """As many at once as fit, or one alone."""
    monkeypatch.setattr(module, "LARGE_BYTES", int(2.5 * 64e6 * PIXEL_BYTES))
    decoder = Decoder(8, 10, 1 << 16)
    calls = [sent(decoder, file) for file in (*HUGE_FILES.values(), HUGE_FILES[8000])]
    await held.until(2)
    await asyncio.sleep(0.05)

    assert held.begun == [7998, 7999]
    for _ in range(4):
        held.let_go.release()
    await asyncio.wait_for(asyncio.gather(*calls), 30)
    decoder.close()


async def test_waiting_files_are_bounded_by_their_own_bytes_too(decoder: Decoder, held: Held) -> None:
    """They may be large and their images small; one call alone may have any size, as a message may."""
    file = png(8, 8, more=chunk(b"tEXt", bytes(40_000)))
    alone = sent(decoder, file)
    await held.until(1)

    with pytest.raises(Overloaded, match=r"have 80,\d+ bytes and at most 65,536 are taken"):
        await decoder.decode([TINY_FILE], SMALL)
    held.let_go.release()
    await asyncio.wait_for(alone, 30)


async def test_who_left_leaves_no_bytes(decoder: Decoder, held: Held) -> None:
    """Though others are before them."""
    first = [sent(decoder, TINY_FILE) for _ in range(2)]
    await held.until(2)
    leaving = sent(decoder, png(9, 9))
    await asyncio.sleep(0.05)
    leaving.cancel()
    await asyncio.wait([leaving])

    assert [waiting.parts.encoded for waiting in decoder._small.waiting] == [b""]
    for _ in range(2):
        held.let_go.release()
    await asyncio.wait_for(asyncio.gather(*first), 30)
