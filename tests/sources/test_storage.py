import tempfile
from pathlib import Path

import numpy as np
import pytest

import vouch.sources.storage
from tests.sources.test_load import write_images
from vouch.sources.errors import SourceError
from vouch.sources.image_file import ImageFile
from vouch.sources.load import load
from vouch.sources.storage import available_memory, plan_room, room_for
from vouch.sources.wanted import Wanted


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where large arrays go."""
    folder = tmp_path / "disk"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_few_images_are_in_memory_and_many_in_a_file() -> None:
    """Up to a quarter of the memory that may be taken no file is made."""
    assert isinstance(room_for((4, 5, 1), memory=80), np.ndarray)
    assert isinstance(room_for((4, 5, 1), memory=79), ImageFile)


def test_what_fits_nowhere_is_refused_with_advice(disk: Path) -> None:
    """Before anything is written; the message says how much it would take and where room was looked for."""
    with pytest.raises(SourceError, match=rf"1,000 images of 1000000 x 1000000 x 3 take .* GB .*TMPDIR.* than {disk}"):
        room_for((1000, 10**6, 10**6, 3))


def test_a_tmpdir_that_is_not_there_is_refused_or_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks elsewhere; in no case a traceback."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", None)

    assert room_for((4, 4, 1), memory=0).shape == (4, 4, 1)


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
    """A quarter of the memory, or the disk; where both are too small, both are named."""
    monkeypatch.setattr(vouch.sources.storage, "available_memory", lambda: 4_000_000_000)

    assert plan_room(1000, (1000, 1000)) == 1_000_000_000
    assert plan_room(1001, (1000, 1000)) == 0
    assert plan_room(1000, (1000, 1000), memory=3_000_000_000) == 0
    with pytest.raises(
        SourceError,
        match=r"^1,000 images of 1000000 x 10000 take 10,000.0 GB; a quarter of 4.0 GB of memory .*"
        rf" {disk} has .* GB free: pass a smaller --size",
    ):
        plan_room(1000, (10**6, 10**4))


@pytest.mark.usefixtures("disk")
def test_images_too_large_for_memory_are_the_same_images(tmp_path: Path) -> None:
    """A folder whose images lie in a file loads to the same pixels and labels, and its parts are read from there."""
    folder = str(write_images(tmp_path / "pictures"))
    in_memory, in_file = (load(folder, Wanted(memory=memory)).splits["all"] for memory in (None, 0))

    assert isinstance(in_file.images, ImageFile)
    assert isinstance(in_file[np.array([1])].images, ImageFile)
    np.testing.assert_array_equal(in_file.images[:], in_memory.images[:], strict=True)
    np.testing.assert_array_equal(in_file[np.array([1])].images[:], in_memory.images[1:2], strict=True)
    np.testing.assert_array_equal(in_file.labels, in_memory.labels)
