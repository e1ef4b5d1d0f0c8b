import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import VOUCH
from vouch import commands


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Alone or asked for, the overview is shown and nothing has failed."""
    codes = [commands.main([]), commands.main(["--help"])]

    shown = capsys.readouterr().out
    assert codes == [0, 0]
    assert all(shown.count(f"\n  {command} ") == 2 for command in commands.COMMANDS)


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """With the overview, on standard error."""
    assert commands.main(["guess"]) == 2
    assert "there is no command 'guess'" in capsys.readouterr().err


def test_a_command_gets_its_arguments_and_gives_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    """`vouch verify nowhere` fails as `verify` does."""
    assert commands.main(["verify", "nowhere"]) == 1
    assert "error: nowhere is not a bundle" in capsys.readouterr().err


def test_a_program_that_is_not_installed_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's image has no trainer: one line instead of a traceback."""
    monkeypatch.delitem(sys.modules, "vouch.trainer.commands", raising=False)
    monkeypatch.setitem(sys.modules, "vouch.trainer.settings", None)

    assert commands.main(["train"]) == 1
    assert capsys.readouterr().err.endswith("pip install 'vouch-onnx[trainer]'\n")


@pytest.mark.parametrize(("command", "library"), [("train", "torch"), ("compare", "onnxruntime")])
def test_a_library_that_is_loaded_late_is_missed_in_the_same_words(tmp_path: Path, command: str, library: str) -> None:
    """What `--help` need not wait for: one line too, from a process that has it not."""
    script = (
        f"import sys; sys.modules[{library!r}] = None\nfrom vouch.commands import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = {"train": ["--models", str(tmp_path)], "compare": ["one", "two"]}[command]
    words = [sys.executable, "-c", script, command, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: vouch {command} needs {library}: pip install 'vouch-onnx[trainer]'\n"


def test_an_interrupt_is_said_in_a_word(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130, as shells have it, without a traceback, also while a program is being loaded."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "import_module", interrupted)

    assert commands.main(["status"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_output_that_nobody_takes_leaves_no_traceback() -> None:
    """A full disk is said; a reader that has gone is not worth a word. Both end with 1."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*VOUCH, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )

    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


def test_a_files_fault_is_not_taken_for_standard_outputs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody has explained before is said with the file's name."""

    def failing(*_: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/model.onnx")

    monkeypatch.setattr(commands, "import_module", failing)

    assert commands.main(["status"]) == 1
    assert capsys.readouterr().err == "error: No space left on device: /somewhere/model.onnx\n"
