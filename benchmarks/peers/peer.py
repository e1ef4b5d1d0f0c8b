"""A peer as a value: its packages, how it is started, and how it is called."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HOME = "VOUCH_PEERS"
"""The setting that names the folder of the peers' environments."""
ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = Path(__file__).resolve().parent / "locks"
"""For each peer the versions of all packages that it was measured with, as pip's constraints."""
INSTALLED_WITHIN_S = 1200.0
SERVED_AS = "mnist"
"""The model's name, to peers that ask for one."""


@dataclass(frozen=True)
class Start:
    """Where a peer is started."""

    python: Path
    """Of its environment."""
    model: Path
    """The graph, as an ONNX file."""
    port: int
    folder: Path
    """Empty, and the peer's own for as long as it runs."""
    cores: int
    """That it may use."""


@dataclass(frozen=True)
class Command:
    """What starts it."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Peer:
    """A server that somebody would use instead."""

    name: str
    """Of its environment, and on the command line."""
    title: str
    """In tables."""
    requirements: tuple[str, ...]
    start: Callable[[Start], Command] = field(repr=False)
    settings: str
    """A sentence: what makes it as fast as its documentation knows."""
    path: str = ""
    """Where it takes raw pixels over HTTP/1.1; empty where it speaks Open Inference over gRPC."""

    @property
    def python(self) -> Path:
        """Of its environment, installed or not."""
        return home() / self.name / "bin" / "python"

    def command(self, model: Path, port: int, folder: Path, cores: int) -> list[str]:
        """What starts it in the foreground, its environment variables included; `folder` is empty and its own."""
        started = self.start(Start(self.python, model.resolve(), port, folder, cores))
        return ["env", *(f"{key}={value}" for key, value in started.environment.items()), *started.words]

    def install(self) -> None:
        """Makes its environment, where it is not there with these very requirements.

        Raises:
            NotInstalled: pip failed.
        """
        wanted = "\n".join(self.requirements)
        noted = home() / self.name / ".installed"
        if noted.exists() and noted.read_text("utf-8") == wanted:
            return
        print(f"installing {self.title} in {noted.parent}: a minute or more", file=sys.stderr, flush=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        lock = LOCKS / f"{self.name}.txt"
        for words in (
            [sys.executable, "-m", "venv", "--clear", str(noted.parent)],
            [*pip, *(["--constraint", str(lock)] if lock.exists() else []), *self.requirements],
        ):
            done = subprocess.run(
                words, stderr=subprocess.PIPE, text=True, check=False, timeout=INSTALLED_WITHIN_S, stdout=sys.stderr
            )
            if done.returncode:
                raise NotInstalled(
                    f"{self.title} is left out, because it could not be installed: {last_line(done.stderr)}"
                )
        noted.write_text(wanted, "utf-8")


class NotInstalled(Exception):
    """A peer that is left out, and why."""


def last_line(text: str) -> str:
    """Of what a command complained about."""
    return (text.strip().splitlines() or ["no message"])[-1]


def home() -> Path:
    """The folder of the peers' environments: `.venv-peers` beside the code, unless VOUCH_PEERS names another."""
    return Path(os.environ.get(HOME) or ROOT / ".venv-peers").absolute()
