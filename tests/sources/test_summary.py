"""The line that says what was read."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vouch.sources.examples import Examples, Source
from vouch.sources.left_out import LeftOut
from vouch.sources.load import load
from vouch.sources.split_names import SplitName
from vouch.sources.summary import Summary, in_words, read_in_words
from vouch.sources.wanted import Wanted


def painted(folder: Path, mode: str, counts: dict[str, int], size: tuple[int, int] = (64, 64)) -> Path:
    """Class folders of images in this mode, black on the left and white on the right; the size is height and width."""
    for label, count in counts.items():
        (folder / label).mkdir(parents=True)
        for number in range(count):
            image = Image.new(mode, size[::-1])
            image.paste(Image.new("L", (size[1] // 2, size[0]), 255).convert(mode), (size[1] // 2, 0))
            image.save(folder / label / f"{number}.png")
    return folder


@pytest.mark.parametrize(("mode", "colour"), [("RGB", "colour"), ("L", "grey")])
def test_one_line_says_what_was_read(tmp_path: Path, mode: str, colour: str) -> None:
    """Classes with their counts, size, colour and the range of the values."""
    source = load(str(painted(tmp_path, mode, {"cat": 3, "dog": 2, "owl": 1})))

    assert Summary.of(source).sentence() == (
        f"read 6 images: 3 classes (cat 3, dog 2, owl 1), 64 x 64 pixels, {colour}, values 0 to 255"
    )


def test_one_image_is_read_as_one() -> None:
    """In the singular; images that were left out follow."""
    assert read_in_words(1, LeftOut()) == "read 1 image"
    assert read_in_words(1_360, LeftOut.of({"broken": ["a", "b"]})) == "read 1,360 images and left out 2"


def test_resized_files_are_told(tmp_path: Path) -> None:
    """From one size, or from how many, the smallest and the largest."""
    painted(tmp_path / "a", "L", {"cat": 1}, (10, 20))
    painted(tmp_path / "a", "L", {"dog": 1}, (10, 20))
    painted(tmp_path / "b", "L", {"cat": 1}, (30, 20))
    painted(tmp_path / "b", "L", {"dog": 1}, (9, 9))

    one, two = (Summary.of(load(str(tmp_path / name), Wanted(size=(8, 8)))).sentence() for name in ("a", "b"))

    assert "8 x 8 pixels (files of 10 x 20), grey" in one
    assert "8 x 8 pixels (files of 2 sizes, 9 x 9 to 30 x 20), grey" in two


def test_16_bits_are_told(tmp_path: Path) -> None:
    """How many files have them, and how far their samples go."""
    painted(tmp_path, "L", {"cat": 2, "dog": 1}, (6, 6))
    for row in range(2):
        samples = np.full((6, 6), 40 + row, np.uint16)
        samples[0] = 1023
        Image.fromarray(samples).save(tmp_path / "dog" / f"deep {row}.png")

    sentence = Summary.of(load(str(tmp_path))).sentence()

    assert sentence.endswith("6 x 6 pixels, grey, values 0 to 255 (2 files have 16 bits, 40 to 1,023)")


def of_counts(counts: dict[str, int]) -> Summary:
    labels = np.repeat(np.arange(len(counts)), list(counts.values()))
    images = np.full((len(labels), 2, 3, 3), 7, np.uint8)
    return Summary.of(Source("made up", tuple(counts), {"fit": Examples(images, labels)}))


def test_two_classes_and_a_thousand_make_a_line_each() -> None:
    """Of many classes the smallest and the largest are named; digits are set apart from their counts."""
    two = of_counts({"3": 1200, "7": 34})
    many = of_counts({f"n{k:03}": 20 for k in range(1000)} | {"n500": 7, "n077": 1300})

    assert two.sentence() == "read 1,234 images: 2 classes (3: 1,200, 7: 34), 2 x 3 pixels, colour, values 7 to 7"
    assert "1,000 classes (from n500: 7 to n077: 1,300), 2 x 3" in many.sentence()
    assert len(of_counts({"x" * 200: 1, "y" * 200: 2}).sentence()) < 200


def test_several_labels_are_called_so() -> None:
    """Images with none of them are counted."""
    labels = np.array([[1, 1], [0, 0], [1, 0]], dtype=np.bool_)
    parts: dict[SplitName, Examples] = {"fit": Examples(np.zeros((3, 1, 1, 2), np.uint8), labels)}

    summary = Summary.of(Source("made up", ("red", "round"), parts))

    assert summary.sentence() == (
        "read 3 images: 2 labels (red 2, round 1; 1 image has none), 1 x 1 pixels, grey with alpha, values 0 to 0"
    )
    assert summary.as_json() == {
        "images": 3,
        "task": "multi_label",
        "classes": {"red": 2, "round": 1},
        "unlabelled": 1,
        "height": 1,
        "width": 1,
        "channels": 2,
        "values": [0, 0],
        "file_sizes": 0,
        "files_of_16_bits": 0,
        "left_out": {"images": 0},
    }


def test_all_splits_are_counted_together() -> None:
    """What was read is all of it; an empty split is no trouble."""
    dark, bright = np.full((2, 1, 1), 9, np.uint8), np.full((1, 1, 1), 200, np.uint8)
    none = Examples(np.zeros((0, 1, 1), np.uint8), np.zeros(0, np.int64))
    validation = Examples(bright, np.array([1]))
    source = Source(
        "made up", ("a", "b"), {"fit": Examples(dark, np.array([0, 1])), "tune": none, "validation": validation}
    )

    sentence = Summary.of(source).sentence()

    assert sentence == "read 3 images: 2 classes (a 1, b 2), 1 x 1 pixels, grey, values 9 to 200"


def test_images_that_were_left_out_are_counted() -> None:
    """Whoever reads the line or the JSON knows that there were more."""
    parts: dict[SplitName, Examples] = {"all": Examples(np.zeros((3, 1, 1), np.uint8), np.array([0, 1, 1]))}
    left_out = LeftOut.of({"broken": ["a/1.png: it is empty"], "system": ["a/Thumbs.db"]})

    summary = Summary.of(Source("made up", ("a", "b"), parts, left_out=left_out))

    assert summary.sentence().startswith("read 3 images and left out 1: 2 classes (a 1, b 2)")
    assert summary.as_json()["left_out"]["images"] == 1


def test_many_classes_of_one_count_are_not_told_as_a_range() -> None:
    """Of others, the smallest and the largest."""
    even = [(f"class {k}", 6) for k in range(30)]

    assert in_words("single_label", even) == "30 classes (6 each, such as class 0)"
    assert in_words("single_label", [*even, ("odd", 7)]) == "31 classes (from class 0: 6 to odd 7)"
