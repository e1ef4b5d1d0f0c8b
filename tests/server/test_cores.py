import os
import subprocess
import sys
from pathlib import Path

import pytest

from vouch.server.cores import available_cores, shares
from vouch.server.errors import StartFailed

HOST = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", HOST),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("100001 100000", min(2, HOST)),
        ("99000000 100000", HOST),
        ("garbage", HOST),
    ],
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    """Rounded up, at least 1, and never more than the process may run on."""
    file = tmp_path / "cpu.max"
    file.write_text(quota)

    assert available_cores(file) == cores


def test_without_a_control_group_affinity_counts(tmp_path: Path) -> None:
    """No file, no bound."""
    assert available_cores(tmp_path / "none") == HOST


def test_pinned_workers_share_no_core() -> None:
    """Each has as many as were promised, all of them this process's."""
    given = shares(HOST, 1)

    assert [len(numbers) for numbers in given] == [1] * HOST
    assert frozenset().union(*given) == os.sched_getaffinity(0)


def test_more_pinned_workers_than_cores_are_refused() -> None:
    """With both numbers."""
    with pytest.raises(StartFailed, match=f"needs {HOST + 1} cores, 1 per worker, and there are only {HOST}"):
        shares(HOST + 1, 1)


def test_a_process_keeps_all_its_threads_to_its_cores() -> None:
    """Those that ran before as well as those that start later."""
    code = """
import os, threading
from vouch.server.cores import keep_to
go, seen = threading.Event(), []
def look():
    go.wait(30)
    seen.append(os.sched_getaffinity(0))
before = threading.Thread(target=look)
before.start()
core = min(os.sched_getaffinity(0))
keep_to(frozenset({core}))
go.set()
before.join(30)
after = threading.Thread(target=look)
after.start()
after.join(30)
print(seen == [{core}, {core}])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "True\n"


def test_threads_of_a_name_interrupt_nobody() -> None:
    """And no others."""
    code = """
import os
from pathlib import Path
from vouch.server.cores import interrupt_nobody
name = Path("/proc/self/comm").read_text().strip()
interrupt_nobody(f"{name}-other")
before = os.sched_getscheduler(0)
interrupt_nobody(name)
print(before == os.SCHED_OTHER, os.sched_getscheduler(0) == os.SCHED_BATCH)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "True True\n"
