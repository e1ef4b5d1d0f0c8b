"""`vouch serve` as a process: how it ends, and the surroundings that it must bear."""

import json
import os
import signal
import urllib.request
from pathlib import Path

import grpc
import pytest

from tests.support.programs import serving_beside, until
from tests.support.tiny import publish_tiny, tiny_images, treacherous_graph
from vouch.bundle.store import ModelsFolder
from vouch.client.client import Client
from vouch.client.errors import CallFailed
from vouch.server.settings import Transport


def until_ready(address: str) -> None:
    with Client(address) as client:
        until(client.ready)


def workers_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_second_signal_ends_all_at_once(tmp_path: Path) -> None:
    """The workers too, though a call is being answered; nothing is left in the folder for temporary files."""
    publish_tiny(ModelsFolder(tmp_path / "models"))
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    words = ("--drain-delay-s", "60")
    with serving_beside(tmp_path / "models", *words, env=environment) as (place, server):
        until_ready(place["address"])
        workers = workers_of(server.pid)
        server.tell(signal.SIGTERM)
        server.err.until("draining.*\n")

        def told_again() -> bool:  # in the first half second it is the same wish
            server.tell(signal.SIGTERM)
            return server.has_ended

        until(told_again)
        assert server.ended() == 1
        assert json.loads(server.err.line())["event"] == "ended_at_once"
        assert workers
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), lambda: "a worker is left")
        assert list((tmp_path / "tmp").iterdir()) == []


def test_signals_at_the_same_moment_are_one(tmp_path: Path) -> None:
    """As `timeout` and terminals send them: it drains, and ends in peace."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path, "--drain-delay-s", "0.5") as (place, server):
        until_ready(place["address"])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            server.tell(number)

        assert server.ended() == 0
        assert "ended_at_once" not in server.err.text


def test_a_closed_standard_error_is_borne(tmp_path: Path, transport: Transport) -> None:
    """As some supervisors of services start theirs: it serves, and says nothing."""
    publish_tiny(ModelsFolder(tmp_path))
    with serving_beside(tmp_path, "--transport", transport, shell="2>&-") as (place, server):
        until_ready(place["address"])
        server.tell(signal.SIGTERM)

        assert server.ended() == 0


def test_names_that_the_locale_cannot_write_are_borne(tmp_path: Path) -> None:
    """A models folder has any name, and services often run in the C locale."""
    models = tmp_path / "größte"
    publish_tiny(ModelsFolder(models))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"LC_ALL": "C", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with serving_beside(models, env=environment) as (place, _):
        until_ready(place["address"])


def test_a_model_that_answers_some_images_with_nan_is_counted_and_logged_once(tmp_path: Path) -> None:
    """It passed its verification, which has no such image; twenty calls are one line of the log."""
    publish_tiny(ModelsFolder(tmp_path), graph=treacherous_graph())
    image = tiny_images(1)[0]
    image[0, -1, -1] = 255
    with serving_beside(tmp_path) as (place, server), Client(place["address"]) as client:
        until(client.ready)
        for _ in range(20):
            with pytest.raises(CallFailed, match="no usable answer to image 0") as failure:
                client.predict(image)
            assert failure.value.code is grpc.StatusCode.INTERNAL
        with urllib.request.urlopen(f"http://{place['metrics']}/metrics", timeout=10) as response:
            metrics = response.read().decode()
    assert server.err.text.count('"event": "unusable_answers"') == 1

    assert 'vouch_unusable_answers_total{model="tiny",version="1"} 20.0' in metrics
    assert "Traceback" not in server.err.text
