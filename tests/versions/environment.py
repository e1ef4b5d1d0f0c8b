"""Empty Python environments with the wheel in them, and the commands that are run there."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parents[2]
SHOWN = ("grpcio", "grpcio-health-checking", "numpy", "onnx", "onnxruntime", "pillow", "prometheus_client", "protobuf")
INSTALL_WITHIN_S = 1200.0
COMMAND_WITHIN_S = 300.0
START_WITHIN_S = 60.0


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built from a copy, so that no left-over of an earlier build gets into it."""
    with TemporaryDirectory(prefix="vouch-source-") as source:
        tree = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, timeout=60)
        for name in tree.stdout.decode().split("\0")[:-1]:
            path = Path(source) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_symlink():
                path.symlink_to((ROOT / name).readlink())
            elif (ROOT / name).exists():
                path.write_bytes((ROOT / name).read_bytes())
        _run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), source], Path(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def metadata_of(wheel: Path) -> Metadata:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name))


class Environment:
    """An environment for one thing, and beside it a working folder; both are removed at the end."""

    def __init__(self, folder: Path, wanted: str, constraints: Path) -> None:
        self._within, self._wanted, self._constraints = folder, wanted, constraints

    def __enter__(self) -> "Environment":
        self._temporary = TemporaryDirectory(prefix="environment-", dir=self._within)
        folder = Path(self._temporary.name)
        self._bin, self.work = folder / "venv" / "bin", folder / "work"
        self.work.mkdir()
        for name in ("client", "server", "trainer", "bundle", "cli", "protos", "sources"):
            (self.work / f"{name}.py").write_text("raise ImportError('a user's own file was taken for ours')\n")
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None) -> None:
        self._temporary.cleanup()

    def install(self) -> float:
        """Returns the seconds that it took.

        Raises:
            SystemExit: that failed, with what was printed.
        """
        began = time.monotonic()
        self._pip("install", "--quiet", "--no-compile", "--constraint", str(self._constraints), self._wanted)
        return time.monotonic() - began

    def _pip(self, *words: str) -> str:
        """What ours prints that works on this environment: one of its own would take seconds to install."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.interpreter)]
        return _run([*pip, *words], self.work, INSTALL_WITHIN_S)

    def python(self, *words: str) -> str:
        """What this Python prints."""
        return _run([str(self.interpreter), *words], self.work)

    def vouch(self, *words: str) -> str:
        """What the command prints on standard output."""
        return _run([str(self._bin / "vouch"), *words], self.work)

    @property
    def interpreter(self) -> Path:
        """Of this environment."""
        return self._bin / "python"

    def run(self, *words: str) -> str:
        """What another program prints, in the working folder."""
        return _run(list(words), self.work)

    def installed(self) -> list[str]:
        """All that is there, such as numpy==2.4.6."""
        return self._pip("list", "--format=freeze").splitlines()

    def versions(self) -> str:
        """Those of the libraries that matter most."""
        return ", ".join(line.replace("==", " ") for line in self.installed() if line.split("==")[0].lower() in SHOWN)

    @contextmanager
    def serving(self, models: Path) -> Iterator[dict[str, str]]:
        """A server of these models, and where it listens; it has to end well when it is asked to."""
        words = [str(self._bin / "vouch"), "serve", str(models), "--port", "0", "--metrics-port", "0", "--json"]
        output, log = self.work / "server.out", self.work / "server.log"
        with output.open("w") as out, log.open("w") as errors:
            server = subprocess.Popen(words, cwd=self.work, stdout=out, stderr=errors)
        try:
            yield json.loads(_first_line(output, server, log))
        finally:
            server.terminate()
            code = server.wait(60)
        if code != 0:
            sys.exit(f"the server ended with {code}:\n{log.read_text()}")


def _first_line(output: Path, server: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + START_WITHIN_S
    while "\n" not in (said := output.read_text()):
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            sys.exit(f"the server does not start:\n{log.read_text()}")
        time.sleep(0.1)
    return said.splitlines()[0]


def _run(words: list[str], folder: Path, within_s: float = COMMAND_WITHIN_S) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=within_s
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout
