"""Checkpoints: what an interrupted training needs to continue; written every half minute, read by `--resume`.

They contain only tensors, numbers and text, so reading one runs no code. A checkpoint's name is a digest of everything
that affects the result, so it is never used for another training. It is kept until its model is published, or for 30
days.
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
"""Exceptions from reading a file that is no checkpoint, or not one of this training."""
DIGEST_LENGTH = 64
"""A checkpoint begins with the SHA-256 of the rest, in hexadecimal, because torch does not notice damaged weights. Then
one line identifies the training; the rest is torch's format."""
MAX_IDENTITY = 1 << 22
"""Largest length of that line, in bytes."""
CHECKPOINTS = ".training-*.pt"
EVERY_S = 30.0
"""Approximate interval between two checkpoints; it does not affect the result."""
SHARE_OF_TIME = 0.1
"""Largest share of a training's time for writing: large checkpoints are written less often."""
KEPT_S = 30 * 24 * 3600.0
"""How long a checkpoint is kept that is not resumed."""


class Stateful(Protocol):
    """An object whose state is stored in a checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """The state: tensors, numbers, text, and lists and dictionaries of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""


class Checkpoint:
    """The file with the state of one training."""

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
            identity: everything that affects the result of the training, as one line of text.
            parts: what is stored besides the fit's own state, by name.
            resume: whether to continue from an existing checkpoint.
            every_s: seconds between two checkpoints.
        """
        self.path = folder / f".training-{bytes_digest(identity.encode())[:16]}.pt"
        self._identity = identity.encode()
        self._parts = parts
        self._resume = resume
        self._every_s = every_s
        self._next = time.monotonic() + every_s

    def exists(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self.path.is_file()

    def due(self) -> bool:
        """Whether it is time to write the next checkpoint."""
        return time.monotonic() >= self._next

    def save(self, fit: dict[str, Any], done: str) -> None:
        """Writes this state; the previous one is kept until this one is complete.

        Args:
            fit: empty if the fit has not started.
            done: how much of the work it contains, in words.

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
        except (OSError, RuntimeError) as err:  # torch raises RuntimeError for a full disk
            raise TrainError(f"the checkpoint {self.path} cannot be written: {err}") from err
        finally:  # after an interrupt too
            with suppress(OSError):
                unfinished.unlink()
            remove_if_empty(self.path.parent)
            ended = time.monotonic()
            self._next = ended + max(self._every_s, (ended - began) / SHARE_OF_TIME)

    def done(self) -> str:
        """How much of the work the file contains, in words; empty if there is no file to resume from."""
        try:
            return str(self._read()["done"])
        except UNREADABLE:
            return ""

    def resume_into(self, fit: Stateful) -> bool:
        """Restores the fit and the parts; False if training starts from the beginning.

        Raises:
            TrainError: the checkpoint cannot be read, or is damaged.
        """
        return self._load({"fit": fit, **self._parts})

    def resume_part(self, name: str) -> bool:
        """Restores only one part, as `resume_into`; for work before the fit."""
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
                f"the checkpoint {self.path} cannot be read ({err}); remove it to start from the beginning"
            ) from err
        return True

    def _read(self) -> Any:
        content = self.path.read_bytes()
        digest, content = content[:DIGEST_LENGTH], content[DIGEST_LENGTH:]
        if bytes_digest(content).encode() != digest:
            raise ValueError("its digest is wrong, so the file is damaged")
        _, _, state = content.partition(b"\n")
        return torch.load(BytesIO(state), map_location="cpu", weights_only=True)

    def others(self) -> list[Path]:
        """Checkpoints of trainings with the same name and other settings, the newest first."""
        found = [path for path in self.path.parent.glob(CHECKPOINTS) if path != self.path and path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def remove(self) -> None:
        """Removes the checkpoint when the training is finished."""
        self.path.unlink(missing_ok=True)
        remove_if_empty(self.path.parent)


def identity_of(path: Path) -> str | None:
    """The identity of the training of a checkpoint; None if the file does not contain it."""
    try:
        with path.open("rb") as file:
            file.seek(DIGEST_LENGTH)
            line = file.readline(MAX_IDENTITY)
        return line.decode().removesuffix("\n")
    except (OSError, UnicodeDecodeError):
        return None


def remove_leftovers(models: Path) -> list[Path]:
    """Removes unfinished checkpoints of processes that no longer run; returns which."""
    left = [path for path in hidden_files(models, ".training-*.tmp") if remove_if_left(path)]
    for folder in {path.parent for path in left}:
        remove_if_empty(folder)
    return left


def remove_expired(models: Path, but: Checkpoint) -> list[Path]:
    """Removes checkpoints that were not resumed for 30 days; returns which.

    Args:
        but: the checkpoint of this training, which is kept.
    """
    expired = []
    for path in hidden_files(models, CHECKPOINTS):
        with suppress(OSError):  # another training removed it first, or it belongs to another user
            if path != but.path and time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
                expired.append(path)
                remove_if_empty(path.parent)
    return expired
