"""In which order files are decoded, and what is refused before anything is."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.hostile.images import END, chunk, jpeg, png
from vouch.bundle.image_parts import image_parts
from vouch.bundle.images.parts import ImageParts
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.pixels import decode_bytes
from vouch.server.budget import Budget, Hold, worker_budget
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
        monkeypatch.setattr(module, "AT_ONCE_PIXELS", 0)

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


ROOM = 1 << 30
"""Enough for all of these."""


@pytest.fixture
def budget() -> Budget:
    return worker_budget(ROOM)


@pytest.fixture
def decoder(budget: Budget) -> Iterator[Decoder]:
    made = Decoder(2, 10, budget)
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


async def test_a_tiny_file_alone_needs_no_thread(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of more pixels does, of more bytes, one that becomes larger, and one of several."""
    here: list[bool] = []

    def decode(_: ImageParts, settings: PixelSettings) -> np.ndarray:
        here.append(threading.current_thread() is threading.main_thread())
        return np.zeros(settings.shape, np.uint8)

    monkeypatch.setattr(module, "decode_parts", decode)
    padded = TINY_FILE.removesuffix(END) + chunk(b"IDAT", bytes(module.AT_ONCE_BYTES)) + END
    large = PixelSettings(height=65, width=64)
    for files, settings in (([padded], SMALL), ([png(65, 64)], SMALL), ([TINY_FILE], large), ([TINY_FILE] * 2, SMALL)):
        await decoder.decode(files, settings)
    assert here == [False] * 5
    await decoder.decode([TINY_FILE], SMALL)
    assert here[5:] == [True]


async def test_a_broken_file_frees_its_thread(decoder: Decoder) -> None:
    """As one that is read does; the caller is told which it is."""
    broken = TINY_FILE.replace(b"IDAT", b"IDAT\0", 1)
    for _ in range(5):
        with pytest.raises(InvalidRequest, match="file 1"):
            await decoder.decode([TINY_FILE, broken], SMALL)

    assert (await decoder.decode([TINY_FILE] * 5, SMALL)).shape == (5, 8, 8)


async def test_what_is_refused_keeps_nothing(decoder: Decoder, circles: Callable[[], list[str]]) -> None:
    """Neither its files nor its images."""
    with pytest.raises(InvalidRequest, match="file 0"):
        await decoder.decode([TINY_FILE.replace(b"IDAT", b"IDAT\0", 1)], SMALL)

    assert circles() == []


async def test_images_of_a_call_are_bounded_before_they_are_made() -> None:
    """A hundred bytes of a file become as many pixels as the model takes."""
    large, decoder = PixelSettings(height=128, width=128, channels=3), Decoder(2, 10, worker_budget(1 << 16))

    with pytest.raises(
        InvalidRequest, match=r"decoded images of 2 files take 98,304 bytes, and the limit is 65,536: send at most 1 im"
    ):
        await decoder.decode([TINY_FILE] * 2, large)
    decoder.close()


async def test_images_of_all_calls_are_bounded(held: Held) -> None:
    """What does not fit now may come again; one call alone may have more than others leave to it."""
    large, budget = PixelSettings(height=128, width=128, channels=3), worker_budget(100_000)
    decoder = Decoder(2, 10, budget)
    first = asyncio.create_task(decoder.decode([TINY_FILE], large))
    await held.until(1)

    with pytest.raises(
        Overloaded, match=r"49,2.. more bytes \(image files and their images\) do not fit now: .* 100,000"
    ):
        await decoder.decode([TINY_FILE], large)
    held.let_go.release()
    await first
    again = asyncio.create_task(decoder.decode([TINY_FILE], large))
    held.let_go.release()
    assert (await again).shape == (1, 128, 128, 3)
    assert budget.held == 0
    decoder.close()


async def test_too_many_files_are_refused(decoder: Decoder) -> None:
    """Those that wait, over all calls."""
    with pytest.raises(Overloaded, match="and the limit is 10; 11 more do not fit"):
        await decoder.decode([TINY_FILE] * 11, SMALL)


async def test_decoding_shares_the_budget(held: Held) -> None:
    """As many files at once as there is memory to decode; others wait, and small ones go past them."""
    each = decode_bytes(image_parts(HUGE_FILES[8000]), SMALL)
    budget = worker_budget(4 * each)
    budget.share()
    decoder = Decoder(8, 10, budget)
    calls = [sent(decoder, file) for file in (*HUGE_FILES.values(), HUGE_FILES[8000])]
    await held.until(2)
    await asyncio.sleep(0.05)
    small = sent(decoder, TINY_FILE)
    await held.until(3)

    assert held.begun == [7998, 7999, 8]
    for _ in range(5):
        held.let_go.release()
    await asyncio.wait_for(asyncio.gather(*calls, small), 30)
    assert budget.held == 0
    decoder.close()


async def test_a_file_is_refused_where_others_have_taken_the_memory(budget: Budget, decoder: Decoder) -> None:
    """Nothing that it could wait for is being decoded."""
    others = Hold(budget)
    others.take("received", ROOM // 2)

    with pytest.raises(Overloaded, match="more bytes .memory for decoding an image. do not fit"):
        await decoder.decode([HUGE_FILES[8000]] * 3, PixelSettings(height=8, width=8, channels=4))
    others.end()
    assert budget.held == 0


async def test_a_file_whose_decoding_never_fits_is_said_to_be_too_large() -> None:
    """250 kB that take over 100 MB."""
    decoder = Decoder(2, 10, worker_budget(100_000_000))

    with pytest.raises(InvalidRequest, match=r"file 0: 1\d\d,\d+,\d+ bytes .* can never fit: .* is 100,000,000"):
        await decoder.decode([HUGE_FILES[8000]], SMALL)
    decoder.close()


async def test_waiting_files_are_bounded_by_their_own_bytes_too(held: Held) -> None:
    """They may be large and their images small; one call alone may have any size, as a message may."""
    file, budget = png(8, 8, more=chunk(b"tEXt", bytes(40_000))), worker_budget(100_000)
    decoder = Decoder(2, 10, budget)
    alone = sent(decoder, file)
    await held.until(1)

    with pytest.raises(Overloaded, match=r"80,\d+ more bytes .* uses 80,\d+ bytes .* and the limit is 100,000"):
        await decoder.decode([file], SMALL)
    held.let_go.release()
    await asyncio.wait_for(alone, 30)
    decoder.close()


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
