import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.array_files import IMAGES, LABELS, write
from vouch.sources.arrays import read_npz
from vouch.sources.image_file import ImageFile
from vouch.sources.wanted import Wanted


def test_images_and_labels_are_one_part(tmp_path: Path) -> None:
    """A file without splits gives `all`; integers become class names in the order of their values."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)

    source = read_npz("data.npz", path)

    assert source.classes == ("3", "5", "12")
    assert list(source.splits) == ["all"]
    assert source.splits["all"].labels.tolist() == [0, 2, 0, 1]
    np.testing.assert_array_equal(source.splits["all"].images, IMAGES)


def test_labels_may_be_words_in_any_script(tmp_path: Path) -> None:
    """Strings are class names as they stand."""
    path = write(tmp_path, images=IMAGES, labels=np.array(["猫", "собака", "猫", "dog 🐕"]))

    source = read_npz("data.npz", path)

    assert set(source.classes) == {"猫", "собака", "dog 🐕"}
    assert [source.classes[k] for k in source.splits["all"].labels] == ["猫", "собака", "猫", "dog 🐕"]


def test_prefixes_are_splits(tmp_path: Path) -> None:
    """`fit_`, `tune_` and `validation_` give the splits of these names, with colour where there is a fourth axis."""
    colour = np.zeros((4, 2, 3, 3), dtype=np.uint8)
    path = write(
        tmp_path,
        fit_images=colour,
        fit_labels=LABELS,
        tune_images=colour[:1],
        tune_labels=LABELS[:1],
        validation_images=colour[:2],
        validation_labels=np.array([1, 2], dtype=np.uint8),
    )

    source = read_npz("data.npz", path)

    assert {split: part.images.shape for split, part in source.splits.items()} == {
        "fit": (4, 2, 3, 3),
        "tune": (1, 2, 3, 3),
        "validation": (2, 2, 3, 3),
    }


SPLIT_NAMES = {
    "keras": ("x_train", "y_train", "x_test", "y_test"),
    "MedMNIST": ("train_images", "train_labels", "test_images", "test_labels"),
    "capitals": ("X_Train", "Y_Train", "X_Valid", "Y_Valid"),
    "data": ("train_data", "train_target", "dev_data", "dev_target"),
    "behind": ("images_train", "labels_train", "images_val", "labels_val"),
    "camels": ("trainImages", "trainLabels", "testImages", "testLabels"),
    "close": ("Xtrain", "ytrain", "Xtest", "ytest"),
    "sets": ("training_set_x", "training_set_y", "test_set_x", "test_set_y"),
}


@pytest.mark.parametrize("keys", SPLIT_NAMES.values(), ids=SPLIT_NAMES)
def test_arrays_are_found_by_the_names_that_people_use(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """A word for images or labels and a split's name, in any order and case; what was taken is said."""
    arrays = (IMAGES, LABELS, IMAGES[:2], LABELS[:2])
    path = write(tmp_path, **dict(zip(keys, arrays, strict=True)), mean_image=IMAGES[0])

    source = read_npz("data.npz", path)

    assert {split: len(part) for split, part in source.splits.items()} == {"fit": 4, "validation": 2}
    assert "ignored: mean_image" in source.notes[1]
    assert re.fullmatch("splits: .* as fit, .* as validation", source.notes[0])


@pytest.mark.parametrize(
    "keys", [("X", "y"), ("data", "target"), ("Images", "LABELS"), ("image", "label"), ("arr_0", "arr_1")]
)
def test_two_arrays_are_not_split(tmp_path: Path, keys: tuple[str, str]) -> None:
    """Whatever they are called."""
    source = read_npz("data.npz", write(tmp_path, **dict(zip(keys, (IMAGES, LABELS), strict=True))))

    assert list(source.splits) == ["all"]


ONE_HOT = np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (LABELS[:, None], ("3", "5", "12"), ""),
        (LABELS[None], ("3", "5", "12"), ""),
        (LABELS.astype(np.float32), ("3", "5", "12"), "whole numbers stored as floats"),
        (LABELS[:, None].astype(float), ("3", "5", "12"), "whole numbers stored as floats"),
        (np.array([b"cat", "Möwe".encode(), b"cat", b"dog"]), ("Möwe", "cat", "dog"), "bytes, read as UTF-8"),
        (np.array([True, False, True, False]), ("False", "True"), ""),
        (ONE_HOT.astype(np.uint8), ("0", "1", "2"), "one per image, the position of the 1 among 3 columns"),
        (ONE_HOT, ("0", "1", "2"), "the position of the 1"),
        (ONE_HOT.astype(np.float32), ("0", "1", "2"), "the position of the 1"),
        (ONE_HOT.astype(bool), ("0", "1", "2"), "the position of the 1"),
    ],
)
def test_one_label_an_image_in_any_form(
    tmp_path: Path, labels: np.ndarray, classes: tuple[str, ...], said: str
) -> None:
    """A column, floats, bytes, bool, or a column for each class."""
    source = read_npz("data.npz", write(tmp_path, images=IMAGES, labels=labels))

    assert (source.task, source.classes, len(source.splits["all"])) == ("single_label", classes, 4)
    assert said in "".join(source.notes)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
def test_columns_with_any_number_of_ones_are_several_labels(tmp_path: Path, dtype: type) -> None:
    """One row of one split without exactly one is enough; and what has one in each can be asked for as several."""
    several = ONE_HOT.copy()
    several[3] = 1
    splits = write(
        tmp_path,
        fit_images=IMAGES,
        fit_labels=ONE_HOT,
        validation_images=IMAGES,
        validation_labels=several.astype(dtype),
    )

    source = read_npz("data.npz", splits)

    assert {part.task for part in source.splits.values()} == {"multi_label"}
    assert source.splits["validation"].labels.tolist() == several.astype(bool).tolist()
    asked = read_npz("data.npz", write(tmp_path, images=IMAGES, labels=ONE_HOT.astype(dtype)), "multi_label")
    assert asked.splits["all"].labels.tolist() == ONE_HOT.astype(bool).tolist()


COLOUR = np.arange(4 * 5 * 6 * 3, dtype=np.uint16).astype(np.uint8).reshape(4, 5, 6, 3)


@pytest.mark.parametrize(
    ("stored", "layout", "expected", "said"),
    [
        (COLOUR, None, COLOUR, ""),
        (COLOUR.transpose(0, 3, 1, 2), None, COLOUR, "N C H W, channels first"),
        (np.asfortranarray(COLOUR), None, COLOUR, ""),
        (COLOUR[..., :1], None, COLOUR[..., 0], ""),
        (COLOUR.transpose(0, 3, 1, 2)[:, :1], None, COLOUR[..., 0], "channels first"),
        (COLOUR[:, :3, :3].transpose(0, 3, 1, 2), "nchw", COLOUR[:, :3, :3], "channels first"),
        (COLOUR[:, :3, :3], "nhwc", COLOUR[:, :3, :3], ""),
        (COLOUR[:, :4, :4, 0].reshape(4, 16), None, COLOUR[:, :4, :4, 0], "rows of numbers, taken as 4 x 4 pixels"),
        (COLOUR.astype(np.int64), None, COLOUR, "int64, 0 to 255, converted to 8 bits"),
        (COLOUR.astype(np.float32), None, COLOUR, "float32, 0 to 255, converted to 8 bits"),
        (COLOUR / 255, None, COLOUR, "float64, 0 to 1, converted to 0 to 255"),
        (np.round(COLOUR / 255, 3), None, COLOUR, "float64, 0 to 1, converted to 0 to 255"),
        ((COLOUR / 255).astype(np.float16), None, COLOUR, "float16, 0 to 1, converted to 0 to 255"),
        (COLOUR > 99, None, np.where(COLOUR > 99, 255, 0), "bool, 0 to 1, converted to 0 to 255"),
    ],
)
def test_images_in_any_form(tmp_path: Path, stored: np.ndarray, layout: Any, expected: np.ndarray, said: str) -> None:
    """Axes in either order, a channel alone, rows of numbers, and numbers of other types where they are exact."""
    source = read_npz("data.npz", write(tmp_path, images=stored, labels=LABELS), wanted=Wanted(layout=layout))

    images = source.splits["all"].images
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, expected)
    assert said in "".join(source.notes)
    assert bool(said) == bool(source.notes)


def test_a_scale_is_that_of_all_splits(tmp_path: Path) -> None:
    """Black and white floats are 0.0 to 1.0 beside such, and 0 and 1 of 255 beside 0 to 255."""
    black_and_white = (IMAGES > 9).astype(float)
    names = {"y_train": LABELS, "y_test": LABELS, "x_test": black_and_white}

    source = read_npz("data.npz", write(tmp_path, x_train=IMAGES / 255, **names))

    assert source.splits["validation"].images[:].max() == 255
    assert read_npz("data.npz", write(tmp_path, x_train=IMAGES * 1.0, **names)).splits["fit"].images[:].max() == 23


def test_images_that_would_take_much_memory_lie_in_a_file(tmp_path: Path) -> None:
    """The same pixels, read in pieces and never all at once."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)
    found = read_npz("data.npz", path, wanted=Wanted(memory=0)).splits["all"].images

    assert isinstance(found, ImageFile)
    np.testing.assert_array_equal(found[:], IMAGES, strict=True)
