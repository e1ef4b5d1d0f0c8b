import signal
import sys
from pathlib import Path

import pytest

from tests.tiny import ROTATED, publish_tiny, tiny_graph, verified
from vouch.bundle.store import ModelsFolder
from vouch.server.errors import Refused, Undecided
from vouch.server.probe import probe
from vouch.server.settings import RuntimeSettings


async def test_a_probe_tells_what_a_supervisor_has_to_know(tmp_path: Path) -> None:
    """The process of its own says what verifying here would say."""
    bundle = publish_tiny(ModelsFolder(tmp_path))

    verdict = await probe(bundle.path, RuntimeSettings())

    assert verdict == verified(bundle).verdict


async def test_a_probe_gives_the_reason_of_a_refusal(tmp_path: Path) -> None:
    """The reason is the message, without a prefix."""
    bundle = publish_tiny(ModelsFolder(tmp_path), graph=tiny_graph(ROTATED))

    with pytest.raises(Refused, match=r"^it claims 270 of 300 right and reproduces \d+$"):
        await probe(bundle.path, RuntimeSettings())


async def test_a_probe_that_dies_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes its process with it takes nothing else."""
    killer = tmp_path / "killer"
    killer.write_text(f"#!{sys.executable}\nimport os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    killer.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(killer))

    with pytest.raises(Refused, match=f"died by {signal.SIGSEGV.name}"):
        await probe(tmp_path, RuntimeSettings())


async def test_a_probe_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that happens to be called numpy.py where the server was started is not run."""
    bundle = publish_tiny(ModelsFolder(tmp_path / "models"))
    (tmp_path / "numpy.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)

    verdict = await probe(bundle.path, RuntimeSettings())

    assert verdict.digest == bundle.digest


@pytest.mark.parametrize("start", ["killed", "missing"])
async def test_a_probe_that_was_killed_or_could_not_start_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    """Want of memory or of processes is no fault of the bundle."""
    program = tmp_path / "program"
    if start == "killed":
        program.write_text(f"#!{sys.executable}\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
        program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    with pytest.raises(Undecided):
        await probe(tmp_path, RuntimeSettings())
