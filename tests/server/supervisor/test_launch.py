"""What starts a worker process: what it is to be, its share of the cores, and what it inherits."""

import os
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from vouch.server.cores import available_cores
from vouch.server.errors import StartFailed
from vouch.server.link.messages import VARIABLE, Assignment, Held
from vouch.server.settings import ServeSettings
from vouch.server.supervisor.launch import Launch, launchers, worker_cores
from vouch.server.transport.tls import TlsFiles, TlsRotation, inherited


def assigned(launch: Launch) -> Assignment:
    return Assignment.model_validate_json(launch.environment[VARIABLE])


def test_each_worker_has_its_share_of_the_cores(tmp_path: Path) -> None:
    """At least one, and none of them another's where they are pinned."""
    several = [launch((7, 8)) for launch in launchers(ServeSettings(models=tmp_path, workers=2), 8081)]
    alone = launchers(ServeSettings(models=tmp_path, pin_workers=True), 8081)[0]((7, 8))

    assert [assigned(launch).cores for launch in several] == [max(1, available_cores() // 2)] * 2
    assert worker_cores(ServeSettings(models=tmp_path, workers=256)) == 1
    assert assigned(alone).pinned_to <= os.sched_getaffinity(0)
    assert len(assigned(alone).pinned_to) == available_cores()


def test_more_workers_than_cores_cannot_be_pinned(tmp_path: Path) -> None:
    """It is said before any is started."""
    with pytest.raises(StartFailed, match="--pin-workers needs 256 cores, 1 per worker"):
        launchers(ServeSettings(models=tmp_path, workers=256, pin_workers=True), 8081)


def test_a_worker_is_told_all_that_it_needs_and_finds_this_code(tmp_path: Path) -> None:
    """Whatever lies in the working directory."""
    settings = ServeSettings(models=tmp_path, max_batch_size=17)
    launch = launchers(settings, 4711)[0]((9, 10))

    told = assigned(launch)
    assert (told.settings, told.port, told.sockets, told.tls, told.held) == (settings, 4711, (9, 10), (), ())
    assert launch.command[1:] == ("-P", "-m", "vouch.server.worker.process")
    assert launch.environment["PYTHONPATH"].split(os.pathsep)[0] == str(Path(__file__).resolve().parents[3])


def test_a_worker_inherits_the_certificate_that_works(tmp_path: Path) -> None:
    """As it was when it was checked, whatever the files hold by then."""
    pair = Authority(tmp_path, "ours").issue("server")
    good = pair.certificate.read_bytes(), pair.key.read_bytes()
    rotation = TlsRotation(TlsFiles(pair.certificate, pair.key))
    (start,) = launchers(ServeSettings(models=tmp_path), 8081, rotation)
    pair.key.write_text("not a key")
    launch = start((9, 10))

    assert assigned(launch).tls == launch.files
    contents = inherited(launch.files)
    assert contents is not None
    assert (contents.certificate, contents.key) == good


def test_a_worker_inherits_the_files_of_what_is_served(tmp_path: Path) -> None:
    """They stay open in the supervisor."""
    held = (Held(digest="0" * 64, files={"model.onnx": 11, "manifest.json": 12}),)
    (start,) = launchers(ServeSettings(models=tmp_path), 8081, held=lambda: held)
    launch = start((9, 10))

    assert assigned(launch).held == held
    assert launch.held == (11, 12)
    assert launch.files == ()
