"""Many image files at once, in one process and in several."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vouch.sources.decoding
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.decoding import read_images
from vouch.sources.errors import SourceError
from vouch.sources.load import load

ONE, SEVERAL = 1e9, 0.0
"""Seconds of work left from which other processes are started: never, at once."""


@pytest.fixture
def _two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the machine that runs this has a single one."""
    monkeypatch.setattr("vouch.sources.decoding.os.sched_getaffinity", lambda pid: {0, 1})


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(folder: Path, images: np.ndarray) -> list[Path]:
    """PNG files of these images, in a class folder."""
    (folder / "a").mkdir(parents=True)
    paths = [folder / "a" / f"{row:05}.png" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.mark.usefixtures("_two_cores")
def test_several_processes_read_what_one_reads(tmp_path: Path) -> None:
    """The same arrays in the same order, also where the first guess (grey) turns out wrong."""
    paths = write(tmp_path, noise(300, 5, 4))
    Image.fromarray(noise(5, 4, 3, seed=1)).save(paths[37])  # between those that are looked at first

    one, several = (read_images(tmp_path, paths, worth_processes_s=worth) for worth in (ONE, SEVERAL))

    assert one.shape == (300, 5, 4, 3)
    np.testing.assert_array_equal(one, several, strict=True)


@pytest.mark.usefixtures("_two_cores")
@pytest.mark.parametrize("worth_processes_s", [ONE, SEVERAL])
def test_broken_images_are_counted_in_one_message(tmp_path: Path, worth_processes_s: float) -> None:
    """Whoever decodes them: those that this process met and those of the others together."""
    paths = write(tmp_path, noise(200, 4, 4))
    for row in (3, 50, 120, 199):
        paths[row].write_bytes(paths[row].read_bytes()[:45])

    with pytest.raises(
        SourceError, match=r"4 of the 200 .*a/00003\.png: .*; a/00050\.png: .*; a/00120\.png: .*; also a/00199"
    ):
        read_images(tmp_path, paths, worth_processes_s=worth_processes_s)
    assert active_children() == []


@pytest.mark.usefixtures("_two_cores")
def test_killed_processes_cost_time_and_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the system takes them away, it is told, and this process reads the rest."""
    images = noise(2000, 3, 3)
    paths = write(tmp_path, images)
    killed: list[int] = []

    @contextmanager
    def killing(*_: object) -> Iterator[Callable[[int], None]]:
        def show(done: int) -> None:
            for child in active_children() if done > 32 and not killed else ():
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)

        yield show

    monkeypatch.setattr(vouch.sources.decoding, "progress_bar", killing)

    read = read_images(tmp_path, paths, worth_processes_s=SEVERAL)

    assert killed
    assert "a process that decoded images was killed; going on in one process" in capsys.readouterr().err
    np.testing.assert_array_equal(read, images)


def test_no_process_is_left_where_reading_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt ends the other processes too."""
    monkeypatch.setattr("vouch.sources.decoding.os.sched_getaffinity", lambda pid: {0, 1})
    paths = write(tmp_path, noise(300, 3, 3))

    @contextmanager
    def interrupting(*_: object) -> Iterator[Callable[[int], None]]:
        def show(done: int) -> None:
            if done > 32:
                raise KeyboardInterrupt

        yield show

    monkeypatch.setattr(vouch.sources.decoding, "progress_bar", interrupting)

    with pytest.raises(KeyboardInterrupt):
        read_images(tmp_path, paths, worth_processes_s=SEVERAL)
    assert active_children() == []


def picture(mode: str, alpha: int) -> Image.Image:
    """An image of 4 x 3 in one colour, as transparent as this where the mode has alpha."""
    return Image.new("RGBA", (3, 4), (10, 20, 30, alpha)).convert(mode)


def opaque(mode: str) -> Image.Image:
    return picture(mode, 255)


def clear(mode: str) -> Image.Image:
    return picture(mode, 7)


@pytest.mark.parametrize(
    ("images", "channels"),
    [
        ([opaque("L"), opaque("L")], None),
        ([opaque("LA"), opaque("LA")], None),
        ([clear("LA"), opaque("LA")], 2),
        ([clear("LA"), opaque("L")], None),
        ([opaque("RGB"), opaque("L")], 3),
        ([opaque("RGBA"), opaque("RGB")], 3),
        ([clear("RGBA"), opaque("RGB")], 3),
        ([clear("RGBA"), opaque("RGBA")], 4),
        ([clear("RGBA"), clear("LA")], 4),
        ([clear("RGBA"), opaque("L")], 3),
        ([opaque("RGB"), clear("LA")], 3),
    ],
)
def test_channels_are_what_all_images_have(tmp_path: Path, images: list[Image.Image], channels: int | None) -> None:
    """Colour where one has it, alpha where all have it and one uses it; each as Pillow converts it."""
    for name, image in zip("ab", images, strict=True):
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "1.png")

    found = load(str(tmp_path)).splits["all"].images

    mode = {None: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    expected = np.stack([np.asarray(image.convert(mode)) for image in images])
    np.testing.assert_array_equal(found, expected, strict=True)


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    """Not cut off above 255; beside an image of 8 bits they are as bright as they look."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    deep = noise(4, 3, seed=1).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "a" / "1.png")
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "b" / "1.png")

    found = load(str(tmp_path)).splits["all"].images

    np.testing.assert_array_equal(found[0], found[1])
    assert found.max() > 200


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_images_become_exactly_what_is_asked_for(tmp_path: Path, channels: int | None) -> None:
    """Whatever they hold: as a model takes them that was trained on others."""
    paths = write(tmp_path, noise(3, 6, 5))
    Image.fromarray(noise(9, 9, 4)).save(paths[1])

    read = read_images(tmp_path, paths, exactly=PixelSettings(height=4, width=3, channels=channels))

    assert read.shape == (3, 4, 3) + ((channels,) if channels else ())
