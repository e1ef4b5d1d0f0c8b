import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tests.bundle.splits import older, unpack
from tests.support.older import older_split
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.validation import Piece, Validation, read_pieces

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([0, 1, 2, 1, 0])
SHAPE, CLASSES = (3, 4), 3


class Harmful:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def npz(**members: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **members)  # type: ignore[arg-type]  # some of them are wrong on purpose
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def pieces(content: bytes, count: int) -> list[Piece]:
    """Of a split of format 2."""
    return list(read_pieces(io.BytesIO(content), older(SHAPE, CLASSES), count))


@given(arrays(np.uint8, array_shapes(min_dims=3, max_dims=4, max_side=4)), st.data())
def test_what_was_packed_before_is_read(images: np.ndarray, data: st.DataObject) -> None:
    """Any images and labels come back as they were."""
    labels = data.draw(arrays(np.int64, len(images), elements=st.integers(0, 4)))
    unpacked = unpack(older_split(Validation(images, labels)), images.shape[1:], classes=5)

    np.testing.assert_array_equal(unpacked.images, images, strict=True)
    np.testing.assert_array_equal(unpacked.labels, labels, strict=True)
    assert len(unpacked) == len(images)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_a_split_can_be_read_in_pieces(order: Any, count: int) -> None:
    """Of at most so many images, in their order; together they are all of it."""
    found = pieces(npz(images=np.asarray(IMAGES, order=order), labels=LABELS), count)

    assert [len(piece) for piece in found] == [min(count, 5 - start) for start in range(0, 5, count)]
    assert [piece.claimed for piece in found] == [None] * len(found)
    np.testing.assert_array_equal(np.concatenate([piece.images for piece in found]), IMAGES, strict=True)
    np.testing.assert_array_equal(np.concatenate([piece.labels for piece in found]), LABELS, strict=True)


@pytest.mark.parametrize("labels", [LABELS + 1, LABELS[:4], LABELS.astype(np.float64)])
def test_a_split_that_does_not_fit_is_refused_in_pieces_too(labels: np.ndarray) -> None:
    """At the piece that is wrong at the latest."""
    with pytest.raises(InvalidBundle, match=r"validation\.npz"):
        pieces(npz(images=IMAGES, labels=labels), 2)


def test_a_piece_that_is_cut_off_is_refused() -> None:
    """As a whole one is."""
    content = npz(images=IMAGES, labels=LABELS)
    at = content.index(IMAGES.tobytes())

    with pytest.raises(InvalidBundle, match=r"validation\.npz"):
        pieces(content[:at] + b"\xff" + content[at + 1 :], 2)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES.astype(np.float32), LABELS),
        (IMAGES.astype(np.int8), LABELS),
        (IMAGES[:, :, :3], LABELS),
        (IMAGES[..., None], LABELS),
        (IMAGES[0], LABELS),
        (np.uint8(3), LABELS),
        (IMAGES, LABELS.astype(np.int32)),
        (IMAGES, LABELS.astype(np.float64)),
        (IMAGES, LABELS.astype(str)),
        (IMAGES, LABELS[:4]),
        (IMAGES, LABELS[:, None]),
        (IMAGES, np.int64(1)),
        (IMAGES, LABELS + 1),
        (IMAGES, LABELS - 1),
        (IMAGES[:0], LABELS[:0]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images: np.ndarray, labels: np.ndarray) -> None:
    """Another type or shape than the manifest says, labels out of range, or no image at all, are refused."""
    with pytest.raises(InvalidBundle, match=r"validation\.npz"):
        unpack(npz(images=images, labels=labels), SHAPE, CLASSES)


@pytest.mark.parametrize("members", [{"images": IMAGES}, {"labels": LABELS}, {}])
def test_a_missing_array_is_refused(members: dict[str, np.ndarray]) -> None:
    """Both images and labels must be there."""
    with pytest.raises(InvalidBundle, match=r"validation\.npz is not a validation split"):
        unpack(npz(**members), SHAPE, CLASSES)


@pytest.mark.parametrize("member", ["images", "labels"])
def test_pickled_objects_are_refused(tmp_path: Path, member: str) -> None:
    """An array of Python objects is refused, and nothing that it brings with it is run."""
    trace = tmp_path / "trace"
    members = {"images": IMAGES, "labels": LABELS, member: np.array([Harmful(trace)], dtype=object)}

    with pytest.raises(InvalidBundle, match="Object arrays cannot be loaded"):
        unpack(npz(**members), SHAPE, CLASSES)

    assert not trace.exists()


@pytest.mark.parametrize("content", [npy(IMAGES), b"", b"hello", older_split(Validation(IMAGES, LABELS))[:-30]])
def test_another_file_is_refused(content: bytes) -> None:
    """A single array, nothing, text or a truncated file is not a validation split."""
    with pytest.raises(InvalidBundle, match="is not a validation split"):
        unpack(content, SHAPE, CLASSES)


@given(st.data())
def test_damage_is_found_or_harmless(data: st.DataObject) -> None:
    """Whatever bytes are changed: InvalidBundle is raised, or arrays that fit are handed back; nothing else."""
    content = bytearray(older_split(Validation(IMAGES, LABELS)))
    places = data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4))
    for place in places:
        content[place] = data.draw(st.integers(0, 255))
    try:
        unpacked = unpack(bytes(content), SHAPE, CLASSES)
    except InvalidBundle:
        return

    assert unpacked.images.dtype == np.uint8
    assert unpacked.images.shape[1:] == SHAPE
    assert unpacked.labels.shape == (len(unpacked),)


@given(arrays(np.bool_, st.tuples(st.integers(1, 5), st.integers(2, 6))))
def test_several_labels_are_packed_and_unpacked(labels: np.ndarray) -> None:
    """A row of yes and no for each image comes back as it was."""
    images = np.zeros((len(labels), 2, 3), np.uint8)
    unpacked = unpack(older_split(Validation(images, labels)), (2, 3), labels.shape[1], "multi_label")

    np.testing.assert_array_equal(unpacked.labels, labels, strict=True)


@pytest.mark.parametrize(
    "labels",
    [LABELS, np.ones((5, 2), bool), np.ones((4, 3), bool), np.ones((5, 3), np.uint8), np.ones((5, 3, 1), bool)],
    ids=["single", "columns", "rows", "dtype", "axes"],
)
def test_labels_of_another_task_are_refused(labels: np.ndarray) -> None:
    """A multi-label model needs a row of K yes and no for each image, a single-label one a number."""
    with pytest.raises(InvalidBundle, match="multi_label model needs bool of"):
        unpack(npz(images=IMAGES, labels=labels), SHAPE, CLASSES, "multi_label")


def test_several_labels_are_not_taken_for_one() -> None:
    """Nor the other way round."""
    with pytest.raises(InvalidBundle, match="single_label model needs int64 of"):
        unpack(npz(images=IMAGES, labels=np.ones((5, 3), bool)), SHAPE, CLASSES)
    with pytest.raises(InvalidBundle, match="at least one image"):
        unpack(npz(images=IMAGES[:0], labels=np.ones((0, 3), bool)), SHAPE, CLASSES, "multi_label")
