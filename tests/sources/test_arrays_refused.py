import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.array_files import IMAGES, LABELS, write
from vouch.sources.arrays import read_npz
from vouch.sources.errors import SourceError


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
