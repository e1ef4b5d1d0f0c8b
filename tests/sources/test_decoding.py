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

import vouch.sources.whole_folder
from vouch.bundle.pixel_settings import PixelSettings
from vouch.sources.common_settings import common_settings
from vouch.sources.decoding import WORTH_PROCESSES_S
from vouch.sources.errors import SourceError
from vouch.sources.load import load
from vouch.sources.wanted import NOTHING, Wanted
from vouch.sources.whole_folder import ReadImages
from vouch.sources.whole_folder import read_images as read_decided

ONE, SEVERAL = 1e9, 0.0
"""Seconds of work left from which other processes are started: never, at once."""


def read_images(
    folder: Path, paths: list[Path], wanted: Wanted = NOTHING, worth_processes_s: float = WORTH_PROCESSES_S
) -> ReadImages:
    """As they are wanted."""
    return read_decided(
        folder, paths, lambda headers: common_settings(folder, headers, wanted), worth_processes_s=worth_processes_s
    )


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

    assert one.images.shape == (300, 5, 4, 3)
    np.testing.assert_array_equal(one.images, several.images, strict=True)
    np.testing.assert_array_equal(one.origins, several.origins, strict=True)


@pytest.mark.usefixtures("_two_cores")
@pytest.mark.parametrize("worth_processes_s", [ONE, SEVERAL])
def test_broken_images_are_counted_in_one_message(tmp_path: Path, worth_processes_s: float) -> None:
    """Whoever decodes them: those that this process met and those of the others together."""
    paths = write(tmp_path, noise(200, 4, 4))
    for row in (3, 50, 120, 121, 130, 199):
        paths[row].write_bytes(paths[row].read_bytes()[:45])

    with pytest.raises(
        SourceError,
        match=r"6 of the 200 .*a/00003\.png: .*; a/00050\.png: .*; a/00120\.png: .*; also a/00121.*a/00199",
    ):
        read_images(tmp_path, paths, worth_processes_s=worth_processes_s)
    assert active_children() == []


@pytest.mark.usefixtures("_two_cores")
@pytest.mark.parametrize("worth_processes_s", [ONE, SEVERAL])
def test_a_few_broken_images_have_no_row(tmp_path: Path, worth_processes_s: float) -> None:
    """The others keep their order, whoever decodes them; up to five are a few, and up to 1 %."""
    images = noise(200, 4, 4)
    paths = write(tmp_path, images)
    broken = [0, 50, 51, 120, 199]
    for row in broken:
        paths[row].write_bytes(b"")

    read = read_images(tmp_path, paths, worth_processes_s=worth_processes_s)

    np.testing.assert_array_equal(read.images, np.delete(images, broken, axis=0))
    assert (len(read.origins), list(read.broken)) == (195, [paths[row] for row in broken])


@pytest.mark.usefixtures("_two_cores")
@pytest.mark.parametrize("worth_processes_s", [ONE, SEVERAL])
def test_another_size_ends_reading_where_it_is_met(tmp_path: Path, worth_processes_s: float) -> None:
    """A size that was forgotten does not cost the decoding of all: files behind are not looked at."""
    paths = write(tmp_path, noise(300, 5, 4))
    Image.fromarray(noise(9, 7, seed=1)).save(paths[37])  # between those that are looked at first
    paths[299].write_bytes(b"no image")

    with pytest.raises(SourceError, match=r"differ in size \(5x4, 9x7\); pass --size HxW"):
        read_images(tmp_path, paths, worth_processes_s=worth_processes_s)
    assert active_children() == []


def test_bits_that_are_too_few_are_said_after_a_few_files(tmp_path: Path) -> None:
    """All of those that are tried first need more; a single one that does is counted with the others at the end."""
    paths = write(tmp_path, np.full((100, 4, 4), 1000, np.uint16))

    with pytest.raises(
        SourceError, match=r"^25 of the 25 images that were tried first in .* 1,000; .*--bits 8.* at most 255"
    ):
        read_images(tmp_path, paths, Wanted(bits=8))
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(paths[0])
    with pytest.raises(SourceError, match="^99 of the 100 images in .* cannot be read"):
        read_images(tmp_path, paths, Wanted(bits=8))


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

    monkeypatch.setattr(vouch.sources.whole_folder, "progress_bar", killing)

    read = read_images(tmp_path, paths, worth_processes_s=SEVERAL).images

    assert killed
    assert "a process that decoded images was killed; continuing with one process" in capsys.readouterr().err
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

    monkeypatch.setattr(vouch.sources.whole_folder, "progress_bar", interrupting)

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


def in_classes(folder: Path, images: list[Image.Image]) -> str:
    """A class each."""
    for name, image in zip("abcdef", images, strict=False):
        (folder / name).mkdir(parents=True)
        image.save(folder / name / "1.png")
    return str(folder)


@pytest.mark.parametrize(
    ("images", "channels"),
    [
        ([opaque("L"), opaque("L")], None),
        ([opaque("LA"), clear("LA")], None),
        ([clear("LA"), opaque("L")], None),
        ([opaque("RGB"), opaque("L")], 3),
        ([opaque("RGBA"), opaque("RGBA")], 3),
        ([clear("RGBA"), opaque("RGB")], 3),
        ([clear("RGBA"), clear("LA")], 3),
        ([opaque("RGB"), clear("LA")], 3),
    ],
)
def test_colour_where_one_has_it_and_no_alpha(tmp_path: Path, images: list[Image.Image], channels: int | None) -> None:
    """What is transparent lies on white, whatever the other files hold."""
    found = load(in_classes(tmp_path, images)).splits["all"].images

    on_white = [
        Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
        for image in images
    ]
    expected = [np.asarray(image if channels else image.convert("L"), np.int16) for image in on_white]
    assert found.shape == (2, 4, 3) + ((channels,) if channels else ())
    np.testing.assert_array_equal(found, np.stack(expected))


def test_one_file_does_not_change_what_the_others_mean(tmp_path: Path) -> None:
    """Transparent images become the same pixels with and without an opaque one among them."""
    alone = load(in_classes(tmp_path / "alone", [clear("RGBA"), opaque("RGBA")])).splits["all"].images
    beside = load(in_classes(tmp_path / "beside", [clear("RGBA"), opaque("RGBA"), opaque("RGB")])).splits["all"].images

    np.testing.assert_array_equal(alone, beside[:2])
    assert alone[0].min() > 240
    assert alone[1].max() == 30


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_channels_can_be_asked_for(tmp_path: Path, channels: int, mode: str) -> None:
    """Alpha only then; grey has no axis of its own."""
    spec = in_classes(tmp_path, [opaque("RGB"), opaque("LA"), clear("RGBA")])

    found = load(spec, Wanted(channels=channels, ground="#0a141e")).splits["all"].images[:]

    expected = np.stack(
        [np.asarray(picture(kind, alpha).convert(mode)) for kind, alpha in [("RGB", 255), ("LA", 255), ("RGBA", 7)]]
    )  # on its own colour a picture is whole
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    """Not cut off above 255; beside an image of 8 bits they are as bright as they look."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    deep = noise(4, 3, seed=1).astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "a" / "1.png")
    Image.fromarray((deep >> 8).astype(np.uint8)).save(tmp_path / "b" / "1.png")

    found = load(str(tmp_path)).splits["all"].images[:]

    np.testing.assert_array_equal(found[0], found[1])
    assert found.max() > 200


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_images_become_exactly_what_is_asked_for(tmp_path: Path, channels: int | None) -> None:
    """Whatever they hold: as a model takes them that was trained on others."""
    paths = write(tmp_path, noise(3, 6, 5))
    Image.fromarray(noise(9, 9, 4)).save(paths[1])

    exactly = PixelSettings(height=4, width=3, channels=channels)
    read = read_decided(tmp_path, paths, lambda headers: exactly).images

    assert read.shape == (3, 4, 3) + ((channels,) if channels else ())
