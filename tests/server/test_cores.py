import os
from pathlib import Path

import pytest

from server.cores import available_cores

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
