"""What an interrupted training needs to go on: written after each epoch, read by `--resume`.

Tensors, numbers and text alone, so that reading one runs no code. A checkpoint is named after all that decides the
result, so one of another training is never taken for this one's.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch

from vouch.bundle.digest import bytes_digest
from vouch.trainer.errors import TrainError

DIGEST_LENGTH = 64
"""A checkpoint begins with the SHA-256 of all that follows, in hexadecimal: torch reads damaged weights in silence."""


class Stateful(Protocol):
    """What has a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, text, and lists and dictionaries of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""


class Checkpoint:
    """The file that keeps the state of one training."""

    def __init__(self, folder: Path, identity: str, parts: Mapping[str, Stateful], resume: bool = False) -> None:
        """
        Args:
            folder: the model's, in the models folder.
            identity: all that decides the result of the training, as text.
            parts: what is kept beside the fit's own state, by name.
            resume: go on from what is there.
        """
        self.path = folder / f".training-{bytes_digest(identity.encode())[:16]}.pt"
        self._parts = parts
        self._resume = resume

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.is_file()

    def save(self, fit: dict[str, Any]) -> None:
        """Keeps this state; the one before is kept until this one is whole.

        Raises:
            TrainError: it cannot be written.
        """
        state = {"fit": fit} | {name: part.state_dict() for name, part in self._parts.items()}
        unfinished = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            content = BytesIO()
            torch.save(state, content)
            with unfinished.open("wb") as file:
                file.write(bytes_digest(content.getvalue()).encode() + content.getvalue())
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self.path)
        except (OSError, RuntimeError) as err:  # RuntimeError: torch's word for a full disk
            with suppress(OSError):
                unfinished.unlink()
            raise TrainError(f"the checkpoint {self.path} cannot be written: {err}") from err

    def resume_into(self, fit: Stateful) -> bool:
        """Gives the fit and the parts their states back; False where it is to begin from the start.

        Raises:
            TrainError: it cannot be read, or is not what was written.
        """
        if not self._resume or not self.exists():
            return False
        try:
            content = self.path.read_bytes()
            digest, content = content[:DIGEST_LENGTH], content[DIGEST_LENGTH:]
            if bytes_digest(content).encode() != digest:
                raise ValueError("it is not as it was written")
            state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
            for name, part in {"fit": fit, **self._parts}.items():
                part.load_state_dict(state[name])
        except (OSError, RuntimeError, LookupError, EOFError, ValueError, TypeError, UnpicklingError) as err:
            raise TrainError(
                f"the checkpoint {self.path} cannot be read ({err}); remove it to begin from the start"
            ) from err
        return True

    def remove(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)
        if self.path.parent.is_dir() and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()
