import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vouch.bundle.store import ModelsFolder
from vouch.trainer.learn.processes import ALONE, Processes, joined

ROOT = Path(__file__).resolve().parents[3]


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


INTERRUPTED = """
import os, signal, sys
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.commands import train

save = Checkpoint.save

def save_and_end(checkpoint, fit, done):
    save(checkpoint, fit, done)
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()

Checkpoint.save = save_and_end
sys.exit(train(sys.argv[1:]))
"""
"""A training whose torchrun gets SIGTERM after the first epoch, as where the machine is taken away."""


ABORTED = """
import atexit, os
if "RANK" in os.environ:
    atexit.register(os.abort)
"""
"""What Python imports at its start: a process of torchrun that lets Python end as usual aborts, as it does once in
hundreds of trainings where a thread of torch's is still at work then.
"""


def torchrun(*words: str, imported: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A program in two processes, with one thread each, on a single layer; to its end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={port}"]
    return subprocess.run(
        [*command, *words, "--model", "linear", "--epochs", "10", "--device", "cpu", "--json"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{imported}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def uninterrupted(models: Path) -> "subprocess.CompletedProcess[str]":
    """A training in two processes, as it ended."""
    (models / "sitecustomize.py").write_text(ABORTED)
    return torchrun("-m", "vouch.trainer", "--models", str(models), imported=models)


def test_two_processes_fit_one_model(uninterrupted: "subprocess.CompletedProcess[str]", models: Path) -> None:
    """Under torchrun the leading process alone publishes, once, and the model is as good as one process makes it."""
    assert uninterrupted.returncode == 0, uninterrupted.stderr
    results = [json.loads(line) for line in uninterrupted.stdout.splitlines() if line.startswith("{")]
    assert len(results) == 1
    assert results[0]["accuracy"] > 0.93
    assert ModelsFolder(models).versions("digits") == [1]
    assert uninterrupted.stderr.count("the images are unchanged") == 1


@pytest.mark.usefixtures("uninterrupted")
def test_two_processes_go_on_after_an_interruption(tmp_path: Path, models: Path) -> None:
    """SIGTERM to torchrun ends both, the leading one says what is kept; with --resume both take up that checkpoint, and
    come to the very model that an undisturbed training makes.
    """
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    arguments = ["--models", str(tmp_path / "models")]

    ended = torchrun(str(tmp_path / "interrupted.py"), *arguments)
    resumed = torchrun("-m", "vouch.trainer", *arguments, "--resume")

    assert ended.returncode != 0
    assert ended.stderr.count("interrupted: 1 of 10 epochs are kept; continue with the same command and --resume") == 1
    assert ended.stderr.count("terminated\n") == 1
    assert "RuntimeError" not in ended.stderr
    assert resumed.returncode == 0, resumed.stderr
    assert "resuming from" in resumed.stderr
    assert "epoch   1:" not in resumed.stderr
    graphs = [ModelsFolder(folder).open("digits", 1).read_model() for folder in (models, tmp_path / "models")]
    assert graphs[0] == graphs[1]
    assert ModelsFolder(tmp_path / "models").versions("digits") == [1]
