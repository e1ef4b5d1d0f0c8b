import subprocess
import sys
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
    taken = {mebibytes: _taken_by_one_that_uses(mebibytes << 20) for mebibytes in (1, 65)}

    assert 60 << 20 < taken[65] - taken[1] < 70 << 20
    assert taken_bytes(2**22 + 1) == 0


def _taken_by_one_that_uses(size: int) -> int:
    """A process of its own: this one may have memory left over from other tests, which it would use again."""
    program = f"used = b'x' * {size}; print('ready', flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen((sys.executable, "-c", program), stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        taken = taken_bytes(process.pid)
        process.communicate(b"\n", timeout=60)
    return taken
