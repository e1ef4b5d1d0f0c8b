import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainer.processes import ALONE, Processes, joined

ROOT = Path(__file__).resolve().parents[2]


def test_alone_everything_is_ones_own() -> None:
    """A single process has every row, and its sums are its values."""
    rows = torch.arange(5)

    with joined(torch.device("cpu")) as processes:
        assert processes == ALONE
        assert processes.leads
        assert processes.share(rows).tolist() == [0, 1, 2, 3, 4]
        assert processes.mean(torch.tensor(3.0)) == 3
        assert processes.cores() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_batch_is_shared_without_remainder(count: int) -> None:
    """Every row goes to exactly one process, and none has two more than another."""
    shares = [Processes(rank, count).share(torch.arange(10)).tolist() for rank in range(count)]

    assert sorted(row for share in shares for row in share) == list(range(10))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def torchrun(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`-m trainer` in two processes, with one thread each, to its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    done = subprocess.run(
        [*command, "-m", "trainer", "--model", "linear", "--device", "cpu", *arguments],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def test_two_processes_fit_one_model(tmp_path: Path) -> None:
    """Under torchrun the leading process alone publishes, once, and the model is as good as one process makes it."""
    done = torchrun("--epochs", "10", "--models", str(tmp_path), "--json")

    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(results) == 1
    assert results[0]["accuracy"] > 0.93
    assert [path.name for path in (tmp_path / "digits").iterdir()] == ["1"]
    assert done.stderr.count("the images are as they were") == 1
