"""Different files whose pixels became the same are told apart from files that are the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.sources.equal_files import EqualFiles
from vouch.sources.load import load
from vouch.sources.wanted import NOTHING, Wanted
from vouch.trainer.errors import TrainError
from vouch.trainer.splits.split import make_splits


def folder(path: Path, **classes: list[np.ndarray]) -> str:
    """A PNG file of each array."""
    for label, images in classes.items():
        (path / label).mkdir(parents=True)
        for row, image in enumerate(images):
            Image.fromarray(image).save(path / label / f"{row}.png")
    return str(path)


def deep(high: int, count: int = 4, seed: int = 0) -> list[np.ndarray]:
    """Noise of 16 bits that ends at this value."""
    images = np.random.default_rng(seed).integers(0, high + 1, (count, 6, 6)).astype(np.uint16)
    images[:, 0, 0] = high
    return list(images)


def shallow(count: int = 4, seed: int = 0, side: int = 6) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side)).astype(np.uint8))


def shapes(count: int, first: int = 0) -> list[np.ndarray]:
    """White bars drawn in alpha alone."""
    images = np.full((count, 8, 8, 4), 255, np.uint8)
    for row, image in enumerate(images, start=first):
        image[..., 3] = np.uint8(9)
        image[row % 8, : 1 + row // 8, 3] = 255
    return list(images)


@pytest.mark.parametrize(
    ("classes", "wanted", "sentence"),
    [
        (
            {"cat": deep(200), "dog": shallow(seed=1)},
            NOTHING,
            "4 of 8 different files became 1 image through decoding (cat 4): their 16-bit samples end at 200 of 65,535 "
            "and 8 bits are kept; pass --bits 8",
        ),
        (
            {"cat": shapes(4), "dog": shapes(4, first=4)},
            NOTHING,
            "8 of 8 different files became 1 image through decoding (cat 4, dog 4): transparent parts are filled with "
            "one colour; pass another --ground, or --channels 4",
        ),
        (
            {"cat": shallow(200, side=20), "dog": shallow(200, seed=1, side=20)},
            Wanted(size=(1, 1)),
            r"they were reduced to 1 x 1 pixels, from up to 20 x 20; pass a larger --size",
        ),
        ({"cat": deep(200), "dog": deep(200, seed=1)}, Wanted(bits=8), ""),
        ({"cat": shapes(4), "dog": shapes(4, first=4)}, Wanted(ground="#000000"), ""),
        ({"cat": shallow(), "dog": shallow(seed=1)}, NOTHING, ""),
        ({"cat": [*shallow(2), *shallow(2)], "dog": shallow(seed=1)}, NOTHING, ""),
    ],
    ids=["bits", "transparency", "size", "bits obeyed", "ground obeyed", "all differ", "copies of files"],
)
def test_files_that_became_equal_are_counted_with_the_reason(
    tmp_path: Path, classes: dict[str, list[np.ndarray]], wanted: Wanted, sentence: str
) -> None:
    """How many files, of which classes, what made them equal, and what to pass; a copied file is no such thing."""
    equal = EqualFiles.of(load(folder(tmp_path, **classes), wanted))

    assert equal is not None
    assert sentence in equal.sentence()
    assert bool(equal.sentence()) == bool(sentence)


def test_one_picture_saved_in_two_ways_is_called_so(tmp_path: Path) -> None:
    """Nothing was lost: only the files differ."""
    spec = folder(tmp_path, cat=shallow(), dog=shallow(seed=1))
    with Image.open(tmp_path / "cat" / "0.png") as picture:
        picture.save(tmp_path / "dog" / "again.png", compress_level=0)

    equal = EqualFiles.of(load(spec))

    assert equal is not None
    assert equal.sentence() == "2 of 9 different files contain the same 1 image (cat 1, dog 1)"


def test_a_class_that_became_one_image_is_said_so(tmp_path: Path) -> None:
    """Not that it has no example: that its files can no longer be told apart."""
    source = load(folder(tmp_path, cat=deep(200, 20), dog=shallow(20, seed=1)))

    with pytest.raises(
        TrainError,
        match=r"class cat has no examples in validation; it needs at least one; equal images stay together, and its 20 "
        r"different files became 1 image through decoding: their 16-bit samples end at 200 of 65,535 and 8 bits are "
        r"kept; pass --bits 8; fewer than two classes have enough images: add images",
    ):
        make_splits(source, 0.1, 0.2, seed=0, allow_duplicates=False)


def test_validation_files_that_became_equal_to_others_are_said_so(tmp_path: Path) -> None:
    """They are no copies of what was trained on, and removing them is no remedy."""
    folder(tmp_path / "train", cat=[*deep(200), *shallow(8)], dog=shallow(8, seed=1))
    folder(tmp_path / "val", cat=[*deep(200, 2, seed=5), *shallow(2, seed=3)], dog=shallow(8, seed=2))

    with pytest.raises(
        TrainError,
        match=r"2 of 12 validation images are also in \w+ \(val/cat/0\.png is train/cat/0\.png; .*\), 2 of them "
        r"different files that are equal only after decoding: their 16-bit samples end at 200 .*; pass --bits 8; ",
    ):
        make_splits(load(str(tmp_path)), 0.1, 0.2, seed=0, allow_duplicates=False)
