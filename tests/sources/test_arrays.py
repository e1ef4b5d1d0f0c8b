import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouch.sources.arrays import read_npz
from vouch.sources.errors import SourceError
from vouch.sources.image_file import ImageFile
from vouch.sources.wanted import Wanted

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([3, 12, 3, 5])


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez_compressed(path, **arrays)
    return path


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


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES}, "has images but no labels"),
        ({"fit_labels": LABELS}, "has fit_labels but no fit_images"),
        ({"a": IMAGES, "b": LABELS}, "has a, b; expected images and labels"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_val": IMAGES}, "has x_val but no y_val; expected"),
        ({"x_test": IMAGES}, "has x_test but no y_test; expected"),
        ({"X": IMAGES, "images": IMAGES, "y": LABELS}, "has X and images, which may mean the same; remove one"),
        ({"train_images": IMAGES, "training_labels": LABELS}, "has train_images but no train_labels"),
        ({"train_x": IMAGES, "train_y": LABELS, "fit_x": IMAGES, "fit_y": LABELS}, "train and fit both mean fit"),
        ({}, "has no arrays; expected images and labels"),
        (
            {"images": IMAGES, "labels": LABELS, "fit_images": IMAGES, "fit_labels": LABELS},
            "images without a split as well as images of",
        ),
        ({"images": IMAGES / 100, "labels": LABELS}, "float64 from 0 to 0.23, some between .*expected whole"),
        (
            {"images": IMAGES / 128 - 1, "labels": LABELS},
            "float64 from -1 to -0.82.*scale them to 0 to 255, round them",
        ),
        ({"images": np.where(IMAGES, IMAGES / 255, np.nan), "labels": LABELS}, "float64 from nan to nan"),
        ({"images": IMAGES.astype(np.uint16) + 250, "labels": LABELS}, "uint16 from 250 to 273; expected"),
        ({"images": IMAGES.astype(str), "labels": LABELS}, "are <U3; expected numbers"),
        ({"images": IMAGES, "labels": LABELS + 0.5}, "float64 with values such as 3.5; expected whole"),
        (
            {"images": IMAGES, "labels": np.full((4, 2), 2)},
            r"int64 of shape \(4, 2\) with values such as 2; expected a column of 0",
        ),
        ({"images": IMAGES, "labels": np.array([b"\xff", b"a", b"a", b"a"])}, "bytes that are not UTF-8"),
        ({"images": np.zeros((4, 7), np.uint8), "labels": LABELS}, r"have the shape \(4, 7\); expected \(N, H, W\)"),
        ({"images": np.zeros((4, 5, 6, 7), np.uint8), "labels": LABELS}, r"shape \(4, 5, 6, 7\); expected"),
        (
            {"images": np.zeros((4, 3, 9, 4), np.uint8), "labels": LABELS},
            "3 or 4 could be the channels; pass --layout nchw",
        ),
        (
            {"images": np.zeros((4, 3, 3, 3), np.uint8), "labels": LABELS},
            "3 or 3 could be the channels; pass --layout nchw",
        ),
        ({"images": IMAGES, "labels": LABELS - 4}, "label -1"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "no examples"),
        ({"images": IMAGES, "labels": LABELS[:3]}, "4 images but 3 labels"),
        ({"images": IMAGES, "labels": np.array([1, "a", None, 2], dtype=object)}, "holds Python objects"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """The message says which array is missing or wrong, and what was expected."""
    path = write(tmp_path, **arrays)

    with pytest.raises(SourceError, match=f"data.npz.*{message}"):
        read_npz("data.npz", path)


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


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    """An .npy file under the wrong name is recognised."""
    path = tmp_path / "data.npz"
    with path.open("wb") as file:
        np.save(file, IMAGES)

    with pytest.raises(SourceError, match=r"single array \(.npy\)"):
        read_npz("data.npz", path)


def test_files_in_the_archive_that_are_no_arrays_are_left_alone(tmp_path: Path) -> None:
    """What has a name of no meaning here is not even opened."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "about these digits")
        archive.writestr("paths.npy", "not an array at all")

    source = read_npz("data.npz", path)

    assert len(source.splits["all"]) == 4


def test_a_header_that_promises_terabytes_is_refused(tmp_path: Path) -> None:
    """A small file cannot make the reader take all memory."""
    path = tmp_path / "data.npz"
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "|u1", "fortran_order": False, "shape": (10**7, 10**4, 10**4)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", array.getvalue() + b"pixels")
        archive.writestr("labels.npy", array.getvalue() + b"labels")

    with pytest.raises(SourceError, match=r"images states 1,000,000,000,000,000 bytes .*more than a file of"):
        read_npz("data.npz", path)


def test_an_array_larger_than_memory_is_refused_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any of it is read."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)
    monkeypatch.setattr("vouch.sources.arrays.available_memory", lambda: 16)

    with pytest.raises(
        SourceError, match=r"labels takes 0.0 GB of memory \(4 int64\), but only 0.0 GB are available; use a part"
    ):
        read_npz("data.npz", path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore:Reading `.npy` or `.npz` file required additional header parsing")
def test_a_damaged_file_is_a_source_error_or_whole(tmp_path: Path, data: st.DataObject) -> None:
    """No change to the bytes ends in an exception that is not meant for the user."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])

    try:
        examples = read_npz("data.npz", path).splits["all"]
    except SourceError:
        return

    assert len(examples) == 4


def test_a_folder_called_npz_is_a_source_error(tmp_path: Path) -> None:
    """What the system refuses to read is said in one sentence."""
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        read_npz("data.npz", tmp_path)


def test_images_that_would_take_much_memory_lie_in_a_file(tmp_path: Path) -> None:
    """The same pixels, read in pieces and never all at once."""
    path = write(tmp_path, images=IMAGES, labels=LABELS)
    found = read_npz("data.npz", path, wanted=Wanted(memory=0)).splits["all"].images

    assert isinstance(found, ImageFile)
    np.testing.assert_array_equal(found[:], IMAGES, strict=True)


@pytest.mark.parametrize(
    ("names", "aside"),
    [
        ({"images": IMAGES, "data": IMAGES.reshape(len(IMAGES), -1), "target": LABELS}, "data"),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, "x_test"),
    ],
    ids=["scikit-learn's digits", "a test without labels"],
)
def test_arrays_that_cannot_be_meant_are_left_aside(tmp_path: Path, names: dict[str, Any], aside: str) -> None:
    """The same images as rows, and images of a test that has no labels; a note names them."""
    source = read_npz("data.npz", write(tmp_path, **names))

    (part,) = source.splits.values()
    assert part.images.shape == IMAGES.shape
    assert source.notes[-1].endswith(f"ignored: {aside}")
