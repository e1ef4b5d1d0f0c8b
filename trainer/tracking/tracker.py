"""What a training tells MLflow or TensorBoard. A failure of theirs never ends the training."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from math import isfinite
from typing import TYPE_CHECKING, Any

from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.cli.console import say
from vouch.trainer.errors import TrainError
from vouch.trainer.kinds import Track
from vouch.trainer.tracking.log import Ended, Log

if TYPE_CHECKING:  # a command that only prints its help has no use for torch
    from vouch.trainer.learn.course import Epoch


def check_library(track: Track) -> None:
    """Raises TrainError: the library that `--track` needs is not installed."""
    if track != "none" and find_spec(track) is None:
        raise TrainError(f"--track {track} needs the library {track}: pip install 'vouch-onnx[{track}]'")


class Tracker:
    """Hands a training on to a log, as long as that works."""

    def __init__(self, log: Log | None) -> None:
        self._log = log
        self._told: set[int] = set()

    def begun(self, settings: Mapping[str, Any]) -> None:
        """Settings and recipe; what is None or no plain value is left out or written as text."""
        plain = {name: value for name, value in settings.items() if value is not None}
        values = {name: one if isinstance(one, str | int | float) else str(one) for name, one in plain.items()}
        self._tell(lambda log: log.parameters(values))

    def epoch(self, epoch: "Epoch") -> None:
        """One that has just ended."""
        self._told.add(epoch.number)
        self._tell(lambda log: log.figures(_figures(epoch), epoch.number))

    def published(self, bundle: Bundle, epochs: "tuple[Epoch, ...]") -> None:
        """The result; and epochs from before an interruption, which this process has not seen."""
        for epoch in epochs:
            if epoch.number not in self._told:
                self.epoch(epoch)
        self._tell(lambda log: log.published(bundle, _claim(bundle.manifest)))

    def close(self, ended: Ended) -> None:
        """Nothing is told any more."""
        self._tell(lambda log: log.close(ended))
        self._log = None

    def _tell(self, do: Callable[[Log], None]) -> None:
        if self._log is None:
            return
        try:
            with redirect_stdout(sys.stderr):  # standard output is for the result
                do(self._log)
        except Exception as err:  # whatever it is, the training is worth more
            say(f"warning: --track failed, and the rest of this training is not tracked: {err}")
            self._log = None


@contextmanager
def tracking(track: Track, place: str, name: str) -> Iterator[Tracker]:
    """A tracker for the block, which says at its end how the training ended.

    Args:
        track: none for one that does nothing.
        place: where to; empty for the library's usual place.
        name: of the model.

    Raises:
        TrainError: tracking cannot begin.
    """
    tracker = Tracker(None if track == "none" else _opened(track, place, name))
    try:
        yield tracker
    except KeyboardInterrupt:
        tracker.close("KILLED")
        raise
    except BaseException:
        tracker.close("FAILED")
        raise
    tracker.close("FINISHED")


def _opened(track: Track, place: str, name: str) -> Log:
    check_library(track)
    module = import_module(f"vouch.trainer.tracking.{track}_log")
    try:
        with redirect_stdout(sys.stderr):
            log: Log = getattr(module, f"{track.title()}Log")(place, name)
    except Exception as err:
        raise TrainError(f"--track {track} cannot begin{f' in {place}' if place else ''}: {err}") from err
    return log


def _figures(epoch: "Epoch") -> dict[str, float]:
    values = {
        "loss/fit": epoch.fit_loss,
        "loss/tune": epoch.tune_loss,
        "loss/tune_calibrated": epoch.tune_loss_calibrated,
        "accuracy/fit": epoch.fit_accuracy,
        "accuracy/tune": epoch.tune_accuracy,
        "seconds": epoch.seconds,
    }
    return {name: value for name, value in values.items() if isfinite(value)}


def _claim(manifest: Manifest) -> dict[str, float]:
    """Accuracy on validation with its 95 % interval, and how far probabilities are off."""
    claim, balanced, calibration = manifest.claim.accuracy, manifest.claim.balanced, manifest.calibration
    figures = {"accuracy": claim.accuracy, "low": claim.low, "high": claim.high, "images": float(claim.total)}
    if balanced:
        figures |= {
            "balanced_accuracy": balanced.accuracy,
            "balanced_low": balanced.low,
            "balanced_high": balanced.high,
        }
    if calibration:
        figures["calibration_error"] = calibration.error_after
    return {f"claim/{name}": value for name, value in figures.items()}
