"""Archives that ask for much more than they are; `test_validation` has those that are merely wrong."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from tests.bundle.splits import unpack
from tests.support.older import older_split
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.listed import MAX_VALIDATION_BYTES
from vouch.bundle.npz import Npz
from vouch.bundle.validation import Validation

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([0, 1, 2, 1, 0])
BOMB_BYTES = 200 << 20


def header(shape: tuple[int, ...], kind: str, version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(images: bytes, labels: bytes | None = None, method: int = zipfile.ZIP_DEFLATED, zeros: int = 0) -> bytes:
    """An .npz file of these members, with so many zeros behind the images."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as members:
        with members.open("images.npy", "w", force_zip64=True) as member:
            member.write(images)
            for _ in range(zeros >> 20):
                member.write(bytes(1 << 20))
        members.writestr("labels.npy", header((5,), "<i8") + LABELS.tobytes() if labels is None else labels)
    return file.getvalue()


def refused(content: bytes) -> str:
    """The reason; finding it takes no more than a few megabytes, whatever the archive says."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBundle, match=r"validation\.npz") as caught:
            unpack(content, (3, 4), 3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 << 20
    return str(caught.value)


def test_arrays_larger_than_any_split_are_refused_by_their_headers() -> None:
    """An image shape that fits, and 100 GB of them: nothing is inflated."""
    count = 10**11 // 12
    labels = header((count,), "<i8")
    promised = refused(archive(header((count, 3, 4), "|u1"), labels, zeros=BOMB_BYTES))

    assert f"expected at most {MAX_VALIDATION_BYTES:,}" in promised


def test_no_more_is_inflated_than_a_header_promises() -> None:
    """200 MB of zeros behind five images, from 200 kB."""
    bomb = archive(header((5, 3, 4), "|u1"), zeros=BOMB_BYTES)

    assert len(bomb) < 1 << 20
    assert "not the size in its header" in refused(bomb)


def test_a_promise_that_is_not_kept_takes_no_memory() -> None:
    """A header of 6 GB in a file of some bytes: it is not made room for."""
    count = 5 * 10**8
    labels = header((count,), "<i8")

    assert "not the size in its header" in refused(archive(header((count, 3, 4), "|u1"), labels))


def test_a_header_is_not_read_whatever_its_size() -> None:
    """Version 2.0 has four bytes for it; numpy reads it all before it looks at its length."""
    member = b"\x93NUMPY\x02\x00" + struct.pack("<I", BOMB_BYTES)

    assert "expected version 1.0 of .npy" in refused(archive(member, zeros=BOMB_BYTES))
    assert "expected version 1.0 of .npy" in refused(archive(header((5, 3, 4), "|u1", (2, 0)) + IMAGES.tobytes()))


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_compression_that_numpy_does_not_write_is_refused(method: int) -> None:
    """Its dictionary may be as large as the file says."""
    assert "has the unsupported compression method" in refused(
        archive(header((5, 3, 4), "|u1") + IMAGES.tobytes(), method=method)
    )


def test_a_long_list_of_members_is_not_read() -> None:
    """Each would be an object of ten times its bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        for number in range(2000):
            members.writestr(str(number), b"")

    assert "it lists too many members" in refused(file.getvalue())


def of_64_bits(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """As archives over 2 GiB end, with 64 bits for where the list is and how long."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    return older_split(Validation(IMAGES, LABELS))


def test_an_archive_as_those_over_2_gib_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends otherwise, and has the same arrays."""
    content = of_64_bits(monkeypatch)

    assert b"PK\6\7" in content
    np.testing.assert_array_equal(unpack(content, (3, 4), 3).images, IMAGES, strict=True)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda record: record[:40] + struct.pack("<Q", 1 << 40) + record[48:], "does not end at the archive"),
        (lambda record: b"PK\0\0" + record[4:], "not at its end"),
    ],
)
def test_where_the_list_is_is_looked_at_in_such_an_archive_too(
    monkeypatch: pytest.MonkeyPatch, harm: Callable[[bytes], bytes], reason: str
) -> None:
    """What zipfile would follow is what was checked."""
    content = of_64_bits(monkeypatch)
    end = len(content) - 22 - 20

    assert reason in refused(content[: end - 56] + harm(content[end - 56 : end]) + content[end:])


def test_bytes_behind_the_archive_are_refused() -> None:
    """zipfile would look for the list of members further up."""
    assert "without a comment" in refused(older_split(Validation(IMAGES, LABELS)) + b"more")


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_in_either_order(order: str) -> None:
    """And larger ones than are read at once."""
    images = np.asarray(np.random.default_rng(0).integers(0, 256, (3, 1000, 500), dtype=np.uint8), order=order)  # type: ignore[call-overload]
    file = io.BytesIO()
    np.savez_compressed(file, images=images)

    np.testing.assert_array_equal(Npz(file.getvalue()).read("images"), images, strict=True)
