import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bundle.made_up import publish_made_up
from tests.support.programs import OURS, Program, run_beside
from vouch.bundle.leftovers import held, remove_if_left
from vouch.bundle.listed import MANIFEST
from vouch.bundle.numbers import HIGHEST
from vouch.bundle.store import ModelsFolder

ROOT = Path(__file__).resolve().parents[2]

HOLDS = """
import sys
from pathlib import Path
from vouch.bundle.leftovers import held

with held(Path(sys.argv[1])) as file:
    file.write(b"half of it")
    file.flush()
    print("held", flush=True)
    sys.stdin.read()
"""
PUBLISHES = """
import sys
from pathlib import Path
from tests.bundle.made_up import FILES, made_up_manifest
from vouch.bundle.store import ModelsFolder

def describe(version, entries):
    print("held", flush=True)
    sys.stdin.read()
    return made_up_manifest(version=version, files=entries)

ModelsFolder(Path(sys.argv[1])).publish("pets", FILES, describe)
"""


@contextmanager
def running(script: str, path: Path) -> Iterator[Program]:
    """A process that is in the middle of its writing, until it is killed or its input ends."""
    with run_beside(sys.executable, "-c", script, str(path), env=OURS, held=True) as process:
        assert process.out.line() == "held\n"
        yield process


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_file_is_left_when_its_writer_is_gone(tmp_path: Path, end: signal.Signals) -> None:
    """Not while it lives, stopped or not; and as soon as it has ended, whatever has its number by then."""
    path = tmp_path / "half.tmp"
    with running(HOLDS, path) as process:
        assert not remove_if_left(path)
        process.tell(signal.SIGSTOP)
        assert not remove_if_left(path)
        process.tell(end)
        process.tell(signal.SIGCONT)
        process.ended()

        assert path.read_bytes() == b"half of it"
        assert remove_if_left(path)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_file_is_nobodys_leftover(tmp_path: Path) -> None:
    """What was renamed into its place in the meantime is not there to be removed."""
    path = tmp_path / "half.tmp"
    with held(path) as file:
        file.write(b"whole")
        path.rename(tmp_path / "whole")

    assert not remove_if_left(path)
    assert (tmp_path / "whole").read_bytes() == b"whole"


def test_only_plain_files_are_looked_at(tmp_path: Path) -> None:
    """A link leads elsewhere, and a pipe would be waited for."""
    (tmp_path / "somebodys").write_text("hello")
    (tmp_path / "link.tmp").symlink_to(tmp_path / "somebodys")
    os.mkfifo(tmp_path / "pipe.tmp")

    assert not remove_if_left(tmp_path / "link.tmp")
    assert not remove_if_left(tmp_path / "pipe.tmp")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.tmp", "pipe.tmp", "somebodys"]


def test_a_version_is_left_when_its_publisher_is_gone(tmp_path: Path) -> None:
    """A publisher under way is left alone and ends well; what a killed one had written is removed, for any model."""
    models = ModelsFolder(tmp_path)
    with running(PUBLISHES, tmp_path) as process:
        assert models.remove_leftovers() == []
        process.let_go()
        assert process.ended() == 0
    with running(PUBLISHES, tmp_path) as process:
        process.tell(signal.SIGKILL)
        process.ended()

        (left,) = models.remove_leftovers()
    assert left.name.startswith(".staging-")
    assert sorted(path.name for path in (tmp_path / "pets").iterdir()) == [HIGHEST, "1"]
    models.open("pets", 1).check_files()


@pytest.mark.parametrize("names", [(), ("model.onnx",), ("model.onnx", MANIFEST)])
def test_whatever_state_it_is_in_it_is_removed(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Empty, without its manifest as earlier versions left it, or almost whole; a model of nothing else goes too."""
    staging = tmp_path / "models" / "pets" / ".staging-1234"
    staging.mkdir(parents=True)
    for name in names:
        (staging / name).write_text("half")

    assert ModelsFolder(tmp_path / "models").remove_leftovers() == [staging]
    assert list((tmp_path / "models").iterdir()) == []


def test_links_to_elsewhere_are_not_followed(tmp_path: Path) -> None:
    """A folder of somebody's that a staging folder's name links to stays as it is."""
    (tmp_path / "somebodys").mkdir()
    (tmp_path / "somebodys" / "file").write_text("hello")
    (tmp_path / "models" / "pets").mkdir(parents=True)
    (tmp_path / "models" / "pets" / ".staging-link").symlink_to(tmp_path / "somebodys")

    assert ModelsFolder(tmp_path / "models").remove_leftovers() == []
    assert (tmp_path / "somebodys" / "file").read_text() == "hello"


def test_publishers_and_those_who_tidy_up_do_not_meet(tmp_path: Path) -> None:
    """While others look for leftovers without pause, every version is published whole."""
    models = ModelsFolder(tmp_path)
    ended: list[bool] = []

    def tidy_up() -> None:
        while not ended:
            models.remove_leftovers()

    with ThreadPoolExecutor() as threads:
        tidying = [threads.submit(tidy_up) for _ in range(2)]
        try:
            for _ in range(20):
                models.check_writable("pets")
                publish_made_up(models)
        finally:
            ended.append(True)
        for thread in tidying:
            thread.result(60)

    assert models.versions("pets") == list(range(1, 21))
    for version in models.versions("pets"):
        models.open("pets", version).check_files()
