import tempfile
from pathlib import Path

import numpy as np
import pytest

import vouch.sources.storage
from tests.sources.test_load import write_images
from vouch.sources.errors import SourceError
from vouch.sources.examples import Examples
from vouch.sources.load import load
from vouch.sources.storage import available_memory, plan_room, room_for, rows_of
from vouch.trainer.splits.split import make_splits


def is_mapped(array: np.ndarray) -> bool:
    """Whether its bytes lie in a file rather than in memory of its own."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base is not None


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where large arrays go."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_small_arrays_are_in_memory() -> None:
    """Up to the limit no file is made."""
    assert not is_mapped(room_for((4, 5), in_memory_bytes=20))
    assert is_mapped(room_for((4, 5), in_memory_bytes=19))


@pytest.mark.usefixtures("disk")
def test_a_mapped_array_is_like_any_other() -> None:
    """It can be written and read back, and its parts are views of it."""
    room = room_for((7, 3, 3), in_memory_bytes=0)
    values = np.random.default_rng(0).integers(0, 256, room.shape, dtype=np.uint8)
    room[:] = values

    assert room.flags.writeable
    np.testing.assert_array_equal(room, values, strict=True)
    assert np.shares_memory(room[2:4], room)


def test_no_file_is_left(disk: Path) -> None:
    """Not even while the array is in use: the file has no name."""
    room = room_for((100, 100), in_memory_bytes=0)

    assert is_mapped(room)
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize(
    "rows", [np.array([4, 0, 0, 2]), np.array([], dtype=np.int64), np.arange(5) % 2 == 0, slice(1, 3), slice(None)]
)
@pytest.mark.parametrize("in_memory_bytes", [0, 1 << 20])
@pytest.mark.parametrize("chunk", [1, 20, 1 << 20])
def test_chosen_rows_are_numpys(
    rows: np.ndarray | slice, in_memory_bytes: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions, masks and slices, in chunks of any size, mapped or not; the oracle is numpy's own indexing."""
    monkeypatch.setattr(vouch.sources.storage, "CHUNK_BYTES", chunk)
    images = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)

    np.testing.assert_array_equal(rows_of(images, rows, in_memory_bytes), images[rows], strict=True)


def test_what_fits_nowhere_is_refused_with_advice(disk: Path) -> None:
    """Before anything is written; the message says how much it would take and where room was looked for."""
    with pytest.raises(SourceError, match=rf"1,000 images of 1000000 x 1000000 x 3 take .* GB .*TMPDIR.* than {disk}"):
        room_for((1000, 10**6, 10**6, 3))


def test_a_tmpdir_that_is_not_there_is_refused_or_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks elsewhere; in no case a traceback."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", None)

    assert room_for((4, 4), in_memory_bytes=0).shape == (4, 4)


@pytest.mark.parametrize(
    ("meminfo", "limit", "used", "expected"),
    [
        ("MemTotal: 9 kB\nMemAvailable:      2048 kB\n", None, None, 2 << 20),
        ("MemAvailable: 2048 kB\n", "max", "5", 2 << 20),
        ("MemAvailable: 2048 kB\n", "1000000", "400000", 600_000),
        ("MemAvailable: 2048 kB\n", "1000", "4000", 0),
        (None, "1000000", "0", 1_000_000),
        (None, None, None, 4 << 30),
    ],
)
def test_available_memory_is_what_the_system_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meminfo: str | None,
    limit: str | None,
    used: str | None,
    expected: int,
) -> None:
    """The smaller of the machine's and the container's; a guess where neither tells."""
    if meminfo is not None:
        (tmp_path / "meminfo").write_text(meminfo)
    for name, value in (("memory.max", limit), ("memory.current", used), ("memory.stat", "anon 7\ninactive_file 0\n")):
        if value is not None:
            (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(vouch.sources.storage, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(vouch.sources.storage, "_CONTAINER", tmp_path)

    assert available_memory() == expected


@pytest.mark.parametrize(
    "files",
    [
        {"memory.max": "5000", "memory.current": "4000", "memory.stat": "anon 900\ninactive_file 3000\nshmem 0\n"},
        {
            "memory/memory.limit_in_bytes": "5000",
            "memory/memory.usage_in_bytes": "4000",
            "memory/memory.stat": "cache 1\ninactive_file 1\ntotal_inactive_file 3000\n",
        },
    ],
    ids=["version 2", "version 1"],
)
def test_a_container_gives_back_what_files_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """Under either version of control groups: having read many files leaves no less memory."""
    (tmp_path / "memory").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(vouch.sources.storage, "_MEMINFO", tmp_path / "nowhere")
    monkeypatch.setattr(vouch.sources.storage, "_CONTAINER", tmp_path)

    assert available_memory() == 4000


def test_room_is_planned_before_it_is_taken(monkeypatch: pytest.MonkeyPatch, disk: Path) -> None:
    """A quarter of the memory for each array, the disk for the rest; where both are too small, both are named."""
    monkeypatch.setattr(vouch.sources.storage, "available_memory", lambda: 4_000_000_000)

    assert plan_room([1000, 1000], (1000, 1000)) == 2_000_000_000
    assert plan_room([1001, 900], (1000, 1000)) == 900_000_000
    with pytest.raises(
        SourceError,
        match=r"^1,000 images of 1000000 x 10000 take 10,000.0 GB; of 4.0 GB of memory .*"
        rf" {disk} has .* GB left: pass a smaller --size",
    ):
        plan_room([1000], (10**6, 10**4))


@pytest.mark.usefixtures("disk")
def test_images_too_large_for_memory_are_split_as_others_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder whose images are mapped loads, and its splits are mapped too, with the same pixels."""
    in_memory = load(str(write_images(tmp_path / "pictures"))).splits["all"].images
    monkeypatch.setattr(vouch.sources.storage, "SHARE_IN_MEMORY", 0.0)
    mapped = load(str(tmp_path / "pictures")).splits["all"].images
    digits = load("digits")

    made = make_splits(digits, 0.1, 0.2, seed=0, allow_duplicates=False)

    assert is_mapped(mapped)
    np.testing.assert_array_equal(mapped, in_memory)
    assert all(is_mapped(part.images) for part in made.by_name.values())
    assert sum(map(len, made.by_name.values())) == len(digits.splits["all"])
    assert isinstance(made.fit, Examples)
