"""Peers as they are installed and started; none is."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.peers import peer as peer_file
from benchmarks.peers.__main__ import installed
from benchmarks.peers.catalog import PEERS, TRITON
from benchmarks.peers.mlserver import MLSERVER, MLSERVER_HTTP
from benchmarks.peers.peer import HOME, LOCKS, ROOT, Command, Peer
from benchmarks.peers.triton import PYTHON, triton

PORT, CORES = 23_456, 2


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a peer's start looks for in its environment, without the peer."""
    monkeypatch.setenv(HOME, str(tmp_path / "peers"))
    served = tmp_path / "peers" / "triton" / "lib" / f"python{PYTHON}" / "site-packages" / "pytriton" / "tritonserver"
    (served / "backends" / "python").mkdir(parents=True)
    stub = served / "python_backend_stubs" / PYTHON / "triton_python_backend_stub"
    stub.parent.mkdir(parents=True)
    stub.touch()
    return tmp_path


def started(peer: Peer, environments: Path) -> tuple[dict[str, str], list[str], Path]:
    """Environment variables and words of its command, and its folder."""
    folder = environments / "own"
    folder.mkdir()
    words = peer.command(environments / "model.onnx", PORT, folder, CORES)
    assert words[0] == "env"
    settings = [word for word in words[1:] if "=" in word and not word.startswith("-")]
    return dict(word.split("=", 1) for word in settings), words[1 + len(settings) :], folder


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_starts_from_its_own_environment_on_the_port_it_is_given(name: str, environments: Path) -> None:
    """Its program lies in its environment, its model and port are said somewhere, and threads are bounded."""
    settings, words, folder = started(PEERS[name], environments)

    said = " ".join([*words, *(file.read_text() for file in folder.rglob("*") if file.is_file())])
    links = {str(link.resolve()) for link in folder.rglob("*.onnx")}
    assert words[0].startswith(str(environments / "peers" / name))
    assert str(PORT) in said
    assert str(environments / "model.onnx") in {settings.get("MODEL", ""), *links}
    assert int(settings["ORT_THREADS"]) in {1, CORES}


def test_mlserver_is_asked_on_its_port_over_either_protocol(environments: Path) -> None:
    """The other protocol has the next port."""
    for peer, mine, other in ((MLSERVER, "grpc_port", "http_port"), (MLSERVER_HTTP, "http_port", "grpc_port")):
        _, _, folder = started(peer, environments)
        settings = json.loads((folder / "settings.json").read_text())
        shutil.rmtree(folder)

        assert (settings[mine], settings[other]) == (PORT, PORT + 1)


@pytest.mark.parametrize("name", PEERS)
def test_all_packages_of_a_peer_are_pinned(name: str) -> None:
    """What is asked for is pinned, and stands among the versions of all packages."""
    lock = (LOCKS / f"{name}.txt").read_text().lower().splitlines()

    assert set(PEERS[name].requirements) <= set(lock)
    assert all("==" in line for line in lock)


@pytest.mark.parametrize("name", PEERS)
def test_a_program_that_a_peer_runs_compiles(name: str) -> None:
    """A peer's program is found by its name, though only its own environment can import it."""
    programs = [path for path in (ROOT / "benchmarks" / "peers" / "programs").glob("*.py") if name in path.name]

    assert programs
    for path in programs:
        compile(path.read_text(), path.name, "exec")


def test_another_model_py_is_served_by_triton(environments: Path) -> None:
    """It lies beside the graph, with the paths in front that Triton's backend does not take from the environment."""
    own = environments / "other.py"
    own.write_text("class TritonPythonModel: ...\n")

    _, _, folder = started(triton(1, own), environments)

    version = folder / "models" / "mnist" / "1"
    assert (version / "model.py").read_text().endswith(own.read_text())
    assert str(ROOT) in (version / "model.py").read_text().splitlines()[0]
    assert "count: 1 " in (version.parent / "config.pbtxt").read_text()
    assert (folder / "backends" / "python" / "triton_python_backend_stub").exists()


def test_a_peer_that_cannot_be_installed_is_left_out(
    environments: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why is said in a sentence; the others are there, and it is tried again the next time."""
    failing, other = (Peer(name, name.title(), (name,), lambda at: Command((), {}), "") for name in ("bad", "good"))

    def run(words: list[str], **_: Any) -> Any:
        if "venv" in words:
            Path(words[-1]).mkdir(parents=True, exist_ok=True)
        failed = words[-1] == "bad"
        return SimpleNamespace(returncode=int(failed), stderr="much\nNo matching distribution for bad\n")

    monkeypatch.setattr(peer_file, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))

    assert installed([failing, other]) == [other]
    assert (
        "Bad is left out, because it could not be installed: No matching distribution for bad"
        in capsys.readouterr().err
    )
    assert not (environments / "peers" / "bad" / ".installed").exists()
    monkeypatch.setattr(peer_file, "subprocess", None)
    assert installed([other]) == [other]


def test_the_command_names_what_there_is() -> None:
    """An unknown peer is wrong usage."""
    words = [sys.executable, "-m", "benchmarks.peers", "install", "tritium"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert TRITON.name in done.stderr
    assert shutil.which("env")
