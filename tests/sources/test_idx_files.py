import gzip
import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouch.sources import idx
from vouch.sources.errors import SourceError
from vouch.sources.idx_files import read_folder, read_zip
from vouch.sources.load import load

IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
LABELS = np.array([0, 7, 10, 7], dtype=np.uint8)


def encode(array: np.ndarray) -> bytes:
    return idx.header(array.shape) + array.tobytes()


def write_pair(folder: Path, prefix: str, images: np.ndarray = IMAGES, labels: np.ndarray = LABELS) -> None:
    (folder / f"{prefix}-images-idx3-ubyte").write_bytes(encode(images))
    (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(encode(labels)))


def test_a_folder_has_a_split_for_each_pair(tmp_path: Path) -> None:
    """Prefixes say the split; classes are the label values of all splits in the order of numbers."""
    write_pair(tmp_path, "emnist-digits-train")
    write_pair(tmp_path, "tune", IMAGES[:2], LABELS[:2])
    write_pair(tmp_path, "t10k", IMAGES[:1], np.array([3], dtype=np.uint8))

    source = read_folder("here", tmp_path)

    assert source.name == "here"
    assert source.classes == ("0", "3", "7", "10")
    assert {split: len(part) for split, part in source.splits.items()} == {"fit": 4, "tune": 2, "validation": 1}
    assert source.splits["fit"].labels.tolist() == [0, 2, 3, 2]
    np.testing.assert_array_equal(source.splits["fit"].images, IMAGES)


@pytest.mark.parametrize("prefix", ["train", "fit"])
def test_the_old_spelling_with_a_dot_is_read(tmp_path: Path, prefix: str) -> None:
    """`train-images.idx3-ubyte` is as good as `train-images-idx3-ubyte`."""
    (tmp_path / f"{prefix}-images.idx3-ubyte").write_bytes(encode(IMAGES))
    (tmp_path / f"{prefix}-labels.idx1-ubyte").write_bytes(encode(LABELS))

    source = read_folder("here", tmp_path)

    assert list(source.splits) == ["fit"]


def test_a_file_beside_its_own_gzip_counts_once(tmp_path: Path) -> None:
    """Folders that hold the archive beside what came out of it are common, and no error."""
    write_pair(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"never opened")

    source = read_folder("here", tmp_path)

    assert len(source.splits["fit"]) == 4


@pytest.mark.parametrize(("kind", "axes"), [("images", 3), ("labels", 1)])
def test_a_file_without_its_partner_is_refused(tmp_path: Path, kind: str, axes: int) -> None:
    """The message names the missing file; a folder of that name does not count as one."""
    write_pair(tmp_path, "train")
    next(tmp_path.glob(f"*-{kind}-*")).unlink()
    (tmp_path / f"train-{kind}-idx{axes}-ubyte").mkdir()

    with pytest.raises(SourceError, match=f"no train-{kind}-idx{axes}-ubyte"):
        read_folder("here", tmp_path)


def test_files_of_different_length_are_refused(tmp_path: Path) -> None:
    """Both files and both counts are named."""
    write_pair(tmp_path, "train", labels=LABELS[:3])

    with pytest.raises(SourceError, match=r"train-images-idx3-ubyte has 4 images but train-labels.* has 3 labels"):
        read_folder("here", tmp_path)


def test_a_prefix_that_names_no_split_is_refused(tmp_path: Path) -> None:
    """What the file is for is not guessed."""
    write_pair(tmp_path, "holiday")

    with pytest.raises(SourceError, match=r"holiday-\.\.\. has no split in its name"):
        read_folder("here", tmp_path)


def test_two_pairs_for_one_split_are_refused(tmp_path: Path) -> None:
    """No pair is dropped or joined to another in silence."""
    write_pair(tmp_path, "t10k")
    write_pair(tmp_path, "test")

    with pytest.raises(SourceError, match="t10k and test both mean validation"):
        read_folder("here", tmp_path)


def test_two_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    """As EMNIST comes."""
    write_pair(tmp_path, "emnist-letters-train")
    write_pair(tmp_path, "emnist-digits-train")

    with pytest.raises(SourceError, match="more than one pair of files for train, emnist-digits-train, emnist-letters"):
        read_folder("here", tmp_path)


@pytest.mark.parametrize(
    ("prefixes", "splits"),
    [
        (("train", "val", "test"), ["fit", "tune", "validation"]),
        (("train", "val"), ["fit", "validation"]),
        (("Training", "Valid", "Testing"), ["fit", "tune", "validation"]),
        (("emnist-letters-train", "emnist-letters-test"), ["fit", "validation"]),
        (("train", "dev", "t10k"), ["fit", "tune", "validation"]),
    ],
)
def test_splits_are_called_as_in_folders(tmp_path: Path, prefixes: tuple[str, ...], splits: list[str]) -> None:
    """Any name of a split, in any case; with three the middle one is tune; how they were taken is said."""
    for prefix in prefixes:
        write_pair(tmp_path, prefix)

    source = read_folder("here", tmp_path)

    assert sorted(source.splits) == splits
    assert source.notes[0].startswith("splits: ")


@pytest.mark.parametrize("place", ["MNIST/raw", "FashionMNIST/raw", "raw"])
def test_the_folders_of_torchvision_are_found(tmp_path: Path, place: str) -> None:
    """Whichever of the folders above the files is named."""
    (tmp_path / place).mkdir(parents=True)
    write_pair(tmp_path / place, "train")
    write_pair(tmp_path / place, "t10k")

    source = load(str(tmp_path))

    assert list(source.splits) == ["fit", "validation"] or list(source.splits) == ["validation", "fit"]


def test_several_sets_of_torchvision_are_named(tmp_path: Path) -> None:
    """Which of them is meant is not guessed."""
    for place in ("MNIST/raw", "KMNIST/raw"):
        (tmp_path / place).mkdir(parents=True)
        write_pair(tmp_path / place, "train")

    with pytest.raises(SourceError, match=r"several sets of IDX files \(KMNIST/raw, MNIST/raw\); pass the path of one"):
        load(str(tmp_path))


CONTENT = {
    "train-images-idx3-ubyte": encode(IMAGES),
    "train-labels-idx1-ubyte": encode(LABELS),
    "t10k-images.idx3-ubyte": encode(IMAGES[:2]),
    "t10k-labels-idx1-ubyte.gz": gzip.compress(encode(LABELS[:2])),
}


def pack(path: Path, content: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("form", ["{}", "mnist/raw/{}", "archive/{0}/{0}"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_is_read_where_it_lies(tmp_path: Path, form: str, method: int) -> None:
    """Folders within it mean nothing, each file may have one of its own name; nothing is written beside it."""
    content = {form.format(name): data for name, data in CONTENT.items()}
    surplus = {"__MACOSX/mnist/._train-images-idx3-ubyte": b"x", "README.txt": b"about"}
    path = pack(tmp_path / "mnist.ZIP", content | surplus, method)

    source = load(str(path))

    assert {split: len(part) for split, part in source.splits.items()} == {"fit": 4, "validation": 2}
    np.testing.assert_array_equal(source.splits["fit"].images, IMAGES)
    assert [one.name for one in tmp_path.iterdir()] == ["mnist.ZIP"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cat/1.png": b"", "dog/1.jpg": b""}, r"contains 2 images: unpack it, and pass the folder"),
        ({"data.npz": b""}, r"contains no IDX files but data\.npz; expected names such as train-images-idx3-ubyte"),
        ({}, "contains no IDX files but nothing"),
        (
            {f"{name}/{file}": data for name in "ab" for file, data in CONTENT.items()},
            r"several sets .*\(a, b\); unpack",
        ),
        ({"train-images-idx3-ubyte": encode(IMAGES)}, "no train-labels-idx1-ubyte"),
        (CONTENT | {"t10k-labels-idx1-ubyte.gz": b"x"}, r"zip: t10k-labels-idx1-ubyte\.gz has only 1 bytes"),
        (
            CONTENT | {"train-images-idx3-ubyte": encode(IMAGES)[:-1]},
            "zip: train-images-idx3-ubyte: .*only 23 follow",
        ),
        (CONTENT | {"train-images-idx3-ubyte": idx.header((9**9,) * 3)}, "by its header .* memory are available"),
    ],
)
def test_a_zip_of_something_else_is_refused(tmp_path: Path, content: dict[str, bytes], message: str) -> None:
    """With what is in it, and what to do."""
    with pytest.raises(SourceError, match=message):
        read_zip("here", pack(tmp_path / "mnist.zip", content))


def test_a_zip_that_lists_very_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size of its list, before that is read."""
    monkeypatch.setattr("vouch.sources.idx_files.MAX_DIRECTORY_BYTES", 100)

    with pytest.raises(SourceError, match=r"lists too many files; expected a \.zip of IDX"):
        read_zip("here", pack(tmp_path / "mnist.zip", CONTENT))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    """There is no word to read it with."""
    path = pack(tmp_path / "mnist.zip", CONTENT, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2")
    struct.pack_into("<H", content, at + 8, 1)
    path.write_bytes(content)

    with pytest.raises(SourceError, match="train-images-idx3-ubyte is encrypted, or its compression is not supported"):
        read_zip("here", path)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_damaged_zip_is_a_source_error_or_whole(tmp_path: Path, data: st.DataObject) -> None:
    """No change to the bytes ends in an exception that is not meant for the user."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    damaged = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "mnist.zip"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])

    try:
        source = read_zip("here", path)
    except SourceError:
        return

    assert {len(part) for part in source.splits.values()} <= {2, 4}
