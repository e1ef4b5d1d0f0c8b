import os
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.programs import VOUCH
from vouch import commands
from vouch.cli.programs import COMMANDS


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Alone or asked for, the overview is shown and nothing has failed."""
    codes = [commands.main(words) for words in ([], ["--help"], ["-h"], ["help"])]

    shown = capsys.readouterr().out
    assert codes == [0] * 4
    assert all(shown.count(f"\n  {command} ") == 4 for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["guess"], "unknown command 'guess'"),
        (["tran"], "unknown command 'tran'; did you mean train?"),
        (["Serve", "models"], "unknown command 'Serve'; did you mean serve?"),
        (["help", "evalute"], "unknown command 'evalute'; did you mean evaluate?"),
        (["hlep"], "unknown command 'hlep'; did you mean help?"),
        (["--json", "train"], "expected a command before '--json', as in vouch train --json"),
    ],
)
def test_an_unknown_command_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], wrong: str
) -> None:
    """In two lines on standard error, with the nearest one."""
    assert commands.main(arguments) == 2
    assert capsys.readouterr().err == f"vouch: error: {wrong}\nvouch --help shows the commands\n"


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


@pytest.mark.parametrize("words", [["--help"], ["serve", "--help"]])
def test_output_that_nobody_takes_leaves_no_traceback(words: list[str]) -> None:
    """A full disk is said; a reader that has gone is not worth a word. Both end with 1."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*VOUCH, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)

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


@pytest.mark.parametrize(("variable", "alone"), [({}, True), ({"GRPC_VERBOSITY": "INFO"}, False)])
def test_grpc_itself_says_nothing(tmp_path: Path, variable: dict[str, str], alone: bool) -> None:
    """A call that fails is one line of ours, unless the user has asked gRPC for more."""
    pair = Authority(tmp_path, "nobody").issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.set_alpn_protocols(["h2"])
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        thread.submit(_shake_hands, listening, context)
        done = subprocess.run(
            [sys.executable, "-m", "vouch", "status", "--tls", "--server", f"127.0.0.1:{listening.getsockname()[1]}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={key: value for key, value in os.environ.items() if key != "GRPC_VERBOSITY"} | variable,
        )
        listening.shutdown(socket.SHUT_RDWR)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("error: no connection with 127.0.0.1:")
    assert (len(done.stderr.splitlines()) == 1) is alone


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    """With everybody who comes, until the socket is shut down."""
    with suppress(OSError):
        while True:
            connection, _ = listening.accept()
            connection.settimeout(10)
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as encrypted:
                encrypted.recv(1)
