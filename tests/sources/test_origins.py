"""Warnings about how images are stored: ranges, depths, and files that decoding made equal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.sources.examples import Examples, Source
from vouch.sources.load import load
from vouch.sources.origins import bits_without_effect, decoding_warnings, transparency
from vouch.sources.wanted import Wanted


def values(low: int, high: int, seed: int = 0) -> np.ndarray:
    """An image of 6 x 5 with both of these values in it."""
    pixels = np.random.default_rng(seed).integers(low, high + 1, (6, 5))
    pixels[0, :2] = low, high
    return pixels


def folder(path: Path, **classes: list[np.ndarray]) -> str:
    """A PNG file of each array."""
    for label, images in classes.items():
        (path / label).mkdir(parents=True)
        for row, image in enumerate(images):
            Image.fromarray(image).save(path / label / f"{row}.png")
    return str(path)


def deep(low: int, high: int, count: int = 3, seed: int = 0) -> list[np.ndarray]:
    return [values(low, high, seed + row).astype(np.uint16) for row in range(count)]


def shallow(low: int, high: int, count: int = 3, seed: int = 0) -> list[np.ndarray]:
    return [values(low, high, seed + row).astype(np.uint8) for row in range(count)]


def arrays(**classes: list[np.ndarray]) -> Source:
    images = np.stack([image for part in classes.values() for image in part])
    labels = np.repeat(np.arange(len(classes)), [len(part) for part in classes.values()])
    return Source("made up", tuple(classes), {"all": Examples(images, labels)})


@pytest.mark.parametrize(("high", "bits"), [(1023, 10), (600, 10), (4095, 12), (16000, 14), (255, 8), (64, 8)])
def test_a_scale_that_is_not_used_is_found(tmp_path: Path, high: int, bits: int) -> None:
    """16-bit files whose values end early: the warning says which bits to ask for, and goes when it is done."""
    spec = folder(tmp_path, cat=deep(0, high), dog=deep(0, high, seed=9))

    before, after = decoding_warnings(load(spec)), decoding_warnings(load(spec, Wanted(bits=bits)))

    assert before[0] == (
        f"the samples of the 6 16-bit files go from 0 to {high:,}, of 0 to 65,535, so they become nearly black: "
        f"if they hold {bits} bits, pass --bits {bits}"
    )
    assert after == ()


@pytest.mark.parametrize(("low", "high"), [(32768, 36863), (0, 15)])
def test_an_offset_and_few_bits_are_found_too(tmp_path: Path, low: int, high: int) -> None:
    """No number of bits helps there: the files have to be written otherwise."""
    spec = folder(tmp_path, cat=deep(low, high), dog=deep(low, high, seed=9))

    found = decoding_warnings(load(spec, Wanted(bits=8 if high < 256 else 16)))

    assert found[0].startswith(f"the samples of the 6 16-bit files go from {low:,} to {high:,}, of 0 to ")
    assert "scale them to 0 to" in found[0]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 15), (200, 250), (7, 7)])
def test_bytes_are_looked_at_likewise(tmp_path: Path, low: int, high: int) -> None:
    """Files of 8 bits and arrays: nearly black, or nearly one grey."""
    classes = {"cat": shallow(low, high), "dog": shallow(low, high, seed=9)}
    says = (
        f"the samples of the 6 images of 8 bits go from {low} to {high}, of 0 to 255: "
        "scale them to 0 to 255 when the files are written, for training and for callers"
    )

    assert says in decoding_warnings(load(folder(tmp_path, **classes)))
    assert decoding_warnings(arrays(**classes)) == (says,)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 64), (100, 200)])
def test_a_scale_in_use_is_no_matter(tmp_path: Path, low: int, high: int) -> None:
    """A quarter of the range is enough; dark pictures beside brighter ones are no warning."""
    classes = {"cat": shallow(low, high), "dog": shallow(low, max(high // 2, low + 64), seed=9)}

    assert decoding_warnings(arrays(**classes)) == ()
    assert decoding_warnings(load(folder(tmp_path, **classes))) == ()


def test_a_class_of_another_scale_is_named(tmp_path: Path) -> None:
    """12 bits against 8 in 16-bit files tell the classes apart by themselves, with --bits too."""
    spec = folder(tmp_path, cat=deep(0, 4095), dog=deep(0, 255), emu=deep(0, 4000))

    for wanted, full in ((Wanted(), "65,535"), (Wanted(bits=12), "4,095")):
        (warning,) = [text for text in decoding_warnings(load(spec, wanted)) if "differ greatly" in text]
        assert f"dog at 255 of {full} (16-bit), emu at 4,000 of {full} (16-bit), cat at 4,095 of {full}" in warning
        assert "the scale alone shows the class" in warning


def test_classes_that_are_not_chosen_do_not_count(tmp_path: Path) -> None:
    """What is compared is what is trained on."""
    spec = folder(tmp_path, cat=deep(0, 4095), dog=deep(0, 255), emu=deep(0, 4000))

    found = decoding_warnings(load(spec, Wanted(bits=12)).with_classes(("emu", "cat")))

    assert found == ()


def test_a_class_of_another_depth_is_named(tmp_path: Path) -> None:
    """8-bit files in one class and 16-bit files in another, though both use their range."""
    apart = folder(tmp_path / "apart", cat=deep(0, 65535, seed=5), dog=shallow(0, 255))
    mixed = folder(tmp_path / "mixed", cat=[*deep(0, 65535), *shallow(0, 255)], dog=shallow(0, 255, seed=5))

    assert decoding_warnings(load(apart)) == (
        "all files of class cat have 16 bits and all of class dog have 8: the depth alone may show the class; write "
        "all files with one depth",
    )
    assert not any("bits and all of class" in text for text in decoding_warnings(load(mixed)))


def test_scales_are_compared_in_arrays_and_with_several_labels() -> None:
    """A class that is nearly black beside one that is not."""
    source = arrays(cat=shallow(0, 3), dog=shallow(0, 255))
    one = source.splits["all"]
    several = Source("made up", source.classes, {"all": Examples(one.images, np.eye(2, dtype=np.bool_)[one.labels])})

    for either in (source, several):
        (warning,) = decoding_warnings(either)
        assert "cat at 3 of 255 (8-bit), dog at 255 of 255 (8-bit)" in warning


def test_shapes_of_the_grounds_colour_are_reported(tmp_path: Path) -> None:
    """White shapes drawn in alpha are gone on white; on black they are there."""
    shapes = []
    for row in range(6):
        alpha = np.zeros((6, 5), np.uint8)
        alpha[row] = 255
        shapes.append(np.dstack([np.full((6, 5, 3), 255, np.uint8), alpha]))
    spec = folder(tmp_path, cat=shapes[:3], dog=shapes[3:])

    on_white, on_black = load(spec), load(spec, Wanted(ground="#000000"))

    assert transparency(on_black, Wanted(ground="#000000")) == (
        "6 of 6 images have transparent parts: filled with #000000 (--ground for another, --channels 4 for alpha "
        "as a channel)",
    )
    assert transparency(load(spec, Wanted(channels=4)), Wanted(channels=4)) == (
        "6 of 6 images have transparent parts: alpha is a separate channel",
    )
    assert transparency(arrays(cat=shallow(0, 255)), Wanted()) == ()
    assert any(
        text.startswith("6 of 6 different files became 1 image through decoding (cat 3, dog 3): transparent parts are")
        and "--ground" in text
        for text in decoding_warnings(on_white)
    )
    assert decoding_warnings(on_black) == ()


def test_a_split_may_be_empty() -> None:
    """After classes were chosen; so may all of them, or no image have any label."""
    source = arrays(cat=shallow(0, 255), dog=shallow(0, 255))
    none = Source("made up", source.classes, {"fit": source.splits["all"][:0], "validation": source.splits["all"]})
    unlabelled = Examples(source.splits["all"].images, np.zeros((6, 2), np.bool_))

    assert decoding_warnings(none) == ()
    assert decoding_warnings(Source("made up", source.classes, {"all": source.splits["all"][:0]})) == ()
    assert decoding_warnings(Source("made up", source.classes, {"all": unlabelled})) == ()


def test_a_dead_pixel_hides_nothing(tmp_path: Path) -> None:
    """12 bits in 16-bit files, one sample of one image at the very top: most images say what they hold."""
    dark = deep(0, 4000, count=12)
    dark[7][2, 2] = 65535
    spec = folder(tmp_path / "alone", cat=dark, dog=deep(0, 4000, count=12, seed=50))
    beside = folder(tmp_path / "beside", cat=dark, dog=deep(0, 65535, count=12, seed=50))

    found = decoding_warnings(load(spec))[0]

    assert "go from 0 to 4,000, of 0 to 65,535" in found
    assert "pass --bits 12; 1 of them reach further, up to 65,535" in found
    assert "differ greatly in most images: cat at 4,000 of 65,535" in decoding_warnings(load(beside))[0]


def test_classes_whose_ranges_do_not_meet_are_named(tmp_path: Path) -> None:
    """An offset of one class: its own scale is wide, and it tells the classes apart all the same."""
    apart = folder(tmp_path / "apart", cat=shallow(0, 120, 8), dog=shallow(130, 255, 8))
    meeting = folder(tmp_path / "meeting", cat=shallow(0, 140, 8), dog=shallow(130, 255, 8))

    (warning,) = decoding_warnings(load(apart))

    assert warning.startswith(
        "nearly all images of class dog have no sample below 51% of the possible range, and those "
    )
    assert "of cat none above 47%: " in warning
    assert decoding_warnings(load(meeting)) == ()


def test_a_few_files_of_another_depth_hide_nothing(tmp_path: Path) -> None:
    """One file of forty in each class came from elsewhere."""
    deeper, flatter = deep(0, 65535, 40, seed=100), shallow(0, 255, 40, seed=200)
    spec = folder(tmp_path, cat=[*deeper[1:], flatter[0]], dog=[*flatter[1:], deeper[0]])

    (warning,) = decoding_warnings(load(spec))

    assert warning.startswith("nearly all files of class cat have 16 bits and nearly all of class dog have 8: ")


def test_bits_without_effect_are_told(tmp_path: Path) -> None:
    """Asked for, and no file has 16."""
    spec = folder(tmp_path, cat=shallow(0, 255), dog=shallow(0, 255, seed=9))
    few, all_of_them = Wanted(bits=10), Wanted()

    assert bits_without_effect(load(spec, few), few) == (
        "--bits 10 has no effect: none of the files has samples of 16 bits",
    )
    assert bits_without_effect(load(spec), all_of_them) == ()
    deeper = folder(tmp_path / "deep", cat=deep(0, 1023), dog=shallow(0, 255))
    assert bits_without_effect(load(deeper, few), few) == ()


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGBA", 4)])
def test_alpha_as_a_channel_is_offered_as_it_can_be(tmp_path: Path, mode: str, channels: int) -> None:
    """Two channels of grey images, four of coloured ones."""
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        Image.new(mode, (6, 5)).save(tmp_path / label / "1.png")
        Image.new("L" if mode == "LA" else "RGB", (6, 5), 0).save(tmp_path / label / "2.png")

    (said,) = transparency(load(str(tmp_path)), Wanted())

    assert f"--channels {channels} for alpha as a channel" in said
