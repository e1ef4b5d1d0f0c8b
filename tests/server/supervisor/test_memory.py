import os
from pathlib import Path

import pytest

from vouch.server.supervisor.memory import taken_bytes, total_bytes


@pytest.mark.parametrize(
    ("limits", "expected"), [(["1000000\n"], 1_000_000), (["max\n"], 2 << 30), ([], 2 << 30), (["max", "5"], 5)]
)
def test_the_memory_there_is_is_the_containers_or_the_machines(
    tmp_path: Path, limits: list[str], expected: int
) -> None:
    """Whichever is less; a container without a limit has the machine's."""
    (tmp_path / "meminfo").write_text("MemTotal:        2097152 kB\nMemFree:  5 kB\n")
    paths = [tmp_path / str(number) for number in range(len(limits))]
    for path, limit in zip(paths, limits, strict=True):
        path.write_text(limit)

    assert total_bytes(tmp_path / "meminfo", (*paths, tmp_path / "missing")) == expected


def test_where_nobody_says_four_gibibytes_are_assumed(tmp_path: Path) -> None:
    """Neither file is there."""
    assert total_bytes(tmp_path / "meminfo", ()) == 4 << 30


def test_a_process_takes_what_it_uses() -> None:
    """More when it uses more; one that is gone takes nothing."""
    before = taken_bytes(os.getpid())
    used = b"x" * (64 << 20)

    assert taken_bytes(os.getpid()) - before > 60 << 20
    assert used
    assert taken_bytes(2**22 + 1) == 0
