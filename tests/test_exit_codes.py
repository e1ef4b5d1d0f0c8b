"""Exit codes and `--json`, for every command in one table."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from tests.support.programs import OURS, VOUCH, serving_beside
from tests.support.tiny import publish_tiny
from vouch import commands
from vouch.bundle.store import ModelsFolder
from vouch.cli.exit_codes import DONE, EXIT_CODES, FAILED, INTERRUPTED, TERMINATED, WRONG_USAGE
from vouch.cli.programs import COMMANDS


class Case(NamedTuple):
    """Words with which a command does its work, one key of what it prints, and words with which it fails."""

    done: str
    key: str
    failed: str


CASES = {
    "train": Case("--if-absent --models models --name tiny", "bundle", "nowhere"),
    "compare": Case("models/tiny/1 models/tiny/2", "bundles", "nowhere models/tiny/1"),
    "verify": Case("models/tiny/1", "model", "nowhere"),
    "sign": Case("--new-key key.pem", "fingerprint", "nowhere --key nowhere"),
    "predict": Case("black.png --server ADDRESS", "predictions", "black.png --server 127.0.0.1:1"),
    "evaluate": Case("--server ADDRESS", "served", "--server 127.0.0.1:1"),
    "bench": Case("--server ADDRESS --seconds 0.1 --batches 1 --loads 0.5", "server", "--server 127.0.0.1:1"),
    "status": Case("--server ADDRESS", "models", "--server 127.0.0.1:1"),
    "health": Case("--server ADDRESS", "ready", "--server 127.0.0.1:1"),
    "completion": Case("bash", "script", ""),
}
"""All commands but `vouch serve`, which has not ended when it prints its line; completion cannot fail."""
FORMS = [(command, form) for command, case in CASES.items() for form in ("done", "failed") if getattr(case, form)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with two versions of a model and an image, and the address of a server of the model."""
    folder = tmp_path_factory.mktemp("commands")
    for _ in range(2):
        publish_tiny(ModelsFolder(folder / "models"))
    Image.new("L", (8, 8)).save(folder / "black.png")
    with serving_beside(folder / "models", "--workers", "1") as (started, _):
        assert started.keys() >= {"address", "metrics", "models"}  # the line of `vouch serve --json`
        assert commands.main(["health", "--server", started["address"], "--wait-s", "60"]) == DONE
        yield folder, started["address"]


@pytest.mark.parametrize(("command", "form"), FORMS)
def test_a_command_ends_as_scripts_expect(
    place: tuple[Path, str],
    command: str,
    form: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Done: 0, and one JSON object as all of standard output. Failed: 1, and a sentence on standard error."""
    folder, address = place
    monkeypatch.chdir(folder)
    words = getattr(CASES[command], form).replace("ADDRESS", address).split()

    code = commands.main([command, *words, "--json"])
    captured = capsys.readouterr()

    if form == "done":
        (line,) = captured.out.splitlines()
        assert code == DONE
        assert CASES[command].key in json.loads(line)
    else:
        assert code == FAILED
        assert captured.out == "" or json.loads(captured.out)["errors"]  # vouch predict has one for each file
        assert captured.err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_usage_and_interruption_have_the_same_codes_everywhere(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 before anything is done, and 130 whenever Ctrl-C comes."""
    wrong = commands.main([command, "--no-such-option"])

    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"vouch.{COMMANDS[command].program}.commands.{command}", interrupted)
    stopped = commands.main([command])

    assert (wrong, stopped) == (WRONG_USAGE, INTERRUPTED)
    assert capsys.readouterr().out == ""


def test_a_server_that_cannot_start_fails_like_any_command(tmp_path: Path) -> None:
    """`vouch serve` logs why, and prints no address."""
    words = [*VOUCH, "serve", "nowhere", "--json"]
    done = subprocess.run(words, cwd=tmp_path, env=OURS, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (FAILED, "")
    assert "nowhere" in done.stderr


def test_every_command_and_code_is_in_the_table() -> None:
    """A new command says how it ends; the numbers of signals are the shell's."""
    assert {*CASES, "serve"} == set(COMMANDS)
    assert set(EXIT_CODES) == {DONE, FAILED, WRONG_USAGE, INTERRUPTED, TERMINATED}
    assert (INTERRUPTED, TERMINATED) == (128 + signal.SIGINT, 128 + signal.SIGTERM)
