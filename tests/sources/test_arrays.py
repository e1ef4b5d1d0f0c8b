import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouch.sources.arrays import read_npz
from vouch.sources.errors import SourceError

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
        ({"x": IMAGES, "y": LABELS}, "has x, y; expected images and labels"),
        ({}, "has no arrays; expected images and labels"),
        ({"images": IMAGES, "labels": LABELS, "fit_images": IMAGES, "fit_labels": LABELS}, "not both"),
        ({"images": IMAGES / 255, "labels": LABELS}, "float64 .*expected uint8"),
        ({"images": IMAGES, "labels": LABELS.astype(float)}, "are float64 of shape \\(4,\\)"),
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

    with pytest.raises(SourceError, match=r"data\.npz"):
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
