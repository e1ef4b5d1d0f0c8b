"""What an interrupted training needs to go on: written every half minute, read by `--resume`.

Tensors, numbers and text alone, so that reading one runs no code. A checkpoint is named after all that decides the
result, so one of another training is never taken for this one's. It stays until its model is published, or for 30 days.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from io import SEEK_END, BytesIO
from pathlib import Path
from pickle import UnpicklingError
from secrets import token_hex
from typing import Any, Protocol

import torch

from vouch.bundle.digest import bytes_digest
from vouch.bundle.leftovers import held, hidden_files, remove_if_empty, remove_if_left
from vouch.trainer.errors import TrainError

UNREADABLE = (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError, UnpicklingError)
"""What reading a file raises that is no checkpoint, or not one of this training."""
DIGEST_LENGTH = 64
"""A checkpoint begins with the SHA-256 of what follows, in hexadecimal: torch reads damaged weights in silence. Then
a line says of what training it is; the rest is torch's."""
MAX_IDENTITY = 1 << 22
"""Bytes of that line."""
CHECKPOINTS = ".training-*.pt"
EVERY_S = 30.0
"""About how often a state is written; when decides nothing about the result."""
SHARE_OF_TIME = 0.1
"""Most of a training's time that writing takes: what is large is written less often."""
KEPT_S = 30 * 24 * 3600.0
"""How long a checkpoint is kept that nobody goes on from."""


class Stateful(Protocol):
    """What has a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, text, and lists and dictionaries of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""


class Checkpoint:
    """The file that keeps the state of one training."""

    def __init__(
        self,
        folder: Path,
        identity: str,
        parts: Mapping[str, Stateful],
        resume: bool = False,
        every_s: float = EVERY_S,
    ) -> None:
        """
        Args:
            folder: the model's, in the models folder.
            identity: all that decides the result of the training, as one line of text.
            parts: what is kept beside the fit's own state, by name.
            resume: go on from what is there.
            every_s: seconds after which a state is due again.
        """
        self.path = folder / f".training-{bytes_digest(identity.encode())[:16]}.pt"
        self._identity = identity.encode()
        self._parts = parts
        self._resume = resume
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.is_file()

    def due(self) -> bool:
        """Whether the last state was written so long ago that it is time for another."""
        return time.monotonic() >= self._next

    def save(self, fit: dict[str, Any], done: str) -> None:
        """Keeps this state; the one before is kept until this one is whole.

        Args:
            fit: empty where it has not begun.
            done: what of the work is in it, in words.

        Raises:
            TrainError: it cannot be written.
        """
        began = time.monotonic()
        state = {"fit": fit, "done": done} | {name: part.state_dict() for name, part in self._parts.items()}
        unfinished = self.path.with_suffix(f".{token_hex(4)}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = BytesIO(self._identity + b"\n")
            content.seek(0, SEEK_END)
            torch.save(state, content)
            with held(unfinished) as file:
                file.write(bytes_digest(content.getvalue()).encode() + content.getvalue())
                file.flush()
                os.fsync(file.fileno())
                unfinished.replace(self.path)
        except (OSError, RuntimeError) as err:  # RuntimeError: torch's word for a full disk
            raise TrainError(f"the checkpoint {self.path} cannot be written: {err}") from err
        finally:  # an interrupt ends it too
            with suppress(OSError):
                unfinished.unlink()
            remove_if_empty(self.path.parent)
            ended = time.monotonic()
            self._next = ended + max(self._every_s, (ended - began) / SHARE_OF_TIME)

    def done(self) -> str:
        """What of the work is in the file as it is now; nothing where there is none that can be gone on from."""
        try:
            return str(self._read()["done"])
        except UNREADABLE:
            return ""

    def resume_into(self, fit: Stateful) -> bool:
        """Gives the fit and the parts their states back; False where it is to begin from the start.

        Raises:
            TrainError: it cannot be read, or is not what was written.
        """
        return self._load({"fit": fit, **self._parts})

    def resume_part(self, name: str) -> bool:
        """Gives one part alone its state back, as `resume_into`: of what comes before the fit."""
        return self._load({name: self._parts[name]})

    def _load(self, parts: Mapping[str, Stateful]) -> bool:
        if not self._resume or not self.exists():
            return False
        try:
            state = self._read()
            if "fit" in parts and not state["fit"]:
                return False
            for name, part in parts.items():
                part.load_state_dict(state[name])
        except UNREADABLE as err:
            raise TrainError(
                f"the checkpoint {self.path} cannot be read ({err}); remove it to begin from the start"
            ) from err
        return True

    def _read(self) -> Any:
        content = self.path.read_bytes()
        digest, content = content[:DIGEST_LENGTH], content[DIGEST_LENGTH:]
        if bytes_digest(content).encode() != digest:
            raise ValueError("it is not as it was written")
        _, _, state = content.partition(b"\n")
        return torch.load(BytesIO(state), map_location="cpu", weights_only=True)

    def others(self) -> list[Path]:
        """Checkpoints of trainings of the same name with other settings; the newest first."""
        found = [path for path in self.path.parent.glob(CHECKPOINTS) if path != self.path and path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def remove(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)
        remove_if_empty(self.path.parent)


def identity_of(path: Path) -> str | None:
    """Of what training a checkpoint is, as it was told; None where the file does not say."""
    try:
        with path.open("rb") as file:
            file.seek(DIGEST_LENGTH)
            line = file.readline(MAX_IDENTITY)
        return line.decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return None


def remove_leftovers(models: Path) -> list[Path]:
    """Removes checkpoints that were being written by a process that is no more; returns which."""
    left = [path for path in hidden_files(models, ".training-*.tmp") if remove_if_left(path)]
    for folder in {path.parent for path in left}:
        remove_if_empty(folder)
    return left


def remove_expired(models: Path, but: Checkpoint) -> list[Path]:
    """Removes checkpoints of trainings that nobody went on with for 30 days; returns which.

    Args:
        but: the one of the training that asks; it is the one to go on from.
    """
    expired = []
    for path in hidden_files(models, CHECKPOINTS):
        with suppress(OSError):  # another training was faster, or it is somebody else's
            if path != but.path and time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
                expired.append(path)
                remove_if_empty(path.parent)
    return expired
