"""Logs a training in event files for TensorBoard: scalars, hyperparameters, and the model card as text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from vouch.bundle.listed import CARD
from vouch.bundle.opening import Bundle
from vouch.trainer.tracking.log import Ended, Parameter


class TensorboardLog:
    """A `Log` in a new folder, below the model's name."""

    def __init__(self, place: str, name: str) -> None:
        """
        Args:
            place: TensorBoard's log folder; empty for `runs`.
            name: of the model.
        """
        self.folder = Path(place or "runs") / name / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
        self._writer = SummaryWriter(str(self.folder))
        self._parameters: dict[str, Parameter] = {}

    def parameters(self, values: Mapping[str, Parameter]) -> None:
        self._parameters = dict(values)
        rows = "\n".join(f"| {name} | {value} |" for name, value in values.items())
        self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{rows}")

    def figures(self, values: Mapping[str, float], epoch: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def published(self, bundle: Bundle, claim: Mapping[str, float]) -> None:
        self._writer.add_hparams(self._parameters, dict(claim), run_name=".")  # into the same folder
        self._writer.add_text("bundle", f"`{bundle.path}`, SHA-256 of the manifest `{bundle.digest}`")
        card = (bundle.path / CARD).read_text("utf-8")
        self._writer.add_text("card", card.split("---\n", maxsplit=2)[-1])

    def close(self, ended: Ended) -> None:
        self._writer.add_text("ended", ended)
        self._writer.close()
