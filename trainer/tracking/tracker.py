"""What a training logs in MLflow or TensorBoard. Their failures never end the training."""

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

if TYPE_CHECKING:  # a command that only prints its help must not load torch
    from vouch.trainer.learn.course import Epoch


def check_library(track: Track) -> None:
    """Raises TrainError: the library that `--track` needs is not installed."""
    if track != "none" and find_spec(track) is None:
        raise TrainError(f"--track {track} needs the library {track}: pip install 'vouch-onnx[{track}]'")


class Tracker:
    """Passes a training on to a log, until that fails."""

    def __init__(self, log: Log | None) -> None:
        self._log = log
        self._told: set[int] = set()

    def begun(self, settings: Mapping[str, Any]) -> None:
        """Logs settings and recipe; None is left out, and values that are not plain are written as text."""
        plain = {name: value for name, value in settings.items() if value is not None}
        values = {name: one if isinstance(one, str | int | float) else str(one) for name, one in plain.items()}
        self._tell(lambda log: log.parameters(values))

    def epoch(self, epoch: "Epoch") -> None:
        """Logs an epoch that has just ended."""
        self._told.add(epoch.number)
        self._tell(lambda log: log.figures(_figures(epoch), epoch.number))

    def published(self, bundle: Bundle, epochs: "tuple[Epoch, ...]") -> None:
        """Logs the result, and epochs from before an interruption, which this process has not logged."""
        for epoch in epochs:
            if epoch.number not in self._told:
                self.epoch(epoch)
        self._tell(lambda log: log.published(bundle, _claim(bundle.manifest)))

    def close(self, ended: Ended) -> None:
        """Closes the log; later calls do nothing."""
        self._tell(lambda log: log.close(ended))
        self._log = None

    def _tell(self, do: Callable[[Log], None]) -> None:
        if self._log is None:
            return
        try:
            with redirect_stdout(sys.stderr):  # standard output is for the result
                do(self._log)
        except Exception as err:  # no failure of a log may end the training
            say(f"warning: --track failed, and the rest of this training is not tracked: {err}")
            self._log = None


@contextmanager
def tracking(track: Track, place: str, name: str) -> Iterator[Tracker]:
    """A tracker for the block, which logs at the end how the training ended.

    Args:
        track: none for a tracker that does nothing.
        place: where to log; empty for the library's default.
        name: of the model.

    Raises:
        TrainError: tracking cannot start.
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
        raise TrainError(f"--track {track} cannot start{f' in {place}' if place else ''}: {err}") from err
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
    """Accuracy on validation with its 95 % interval, and the calibration error."""
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
