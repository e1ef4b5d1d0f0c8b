"""A whole training: first the checks that need no torch, which takes seconds to load, then the run."""

import os
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from vouch.bundle.opening import Bundle
from vouch.bundle.store import ModelsFolder
from vouch.cli.console import be_quiet
from vouch.sources.load import look
from vouch.sources.summary import Summary
from vouch.trainer.settings import TrainSettings
from vouch.trainer.tracking.tracker import check_library

if TYPE_CHECKING:  # loads onnxruntime
    from vouch.trainer.judge.serving_cost import ServingCost


@dataclass(frozen=True)
class Trained:
    """The result of a training."""

    bundle: Bundle
    new: bool
    """False if `--if-absent` found a published version."""
    read: Summary | None = None
    """The data that was read; None if none was."""
    advice: tuple[str, ...] = ()
    """What to do next, one sentence each; empty if nothing was trained."""
    serving: "ServingCost | None" = None
    """The cost of serving an image on this machine; None if nothing was trained."""


def train(settings: TrainSettings) -> Trained | None:
    """Trains on labelled images and publishes a bundle; None in processes other than the leading one.

    Raises:
        SourceError, TrainError, BundleError: nothing was published.
    """
    folder, leads = ModelsFolder(settings.models), os.environ.get("RANK", "0") == "0"
    if not leads:  # torchrun started several processes
        be_quiet()
    if settings.if_absent and (found := folder.latest(settings.model_name)):
        return Trained(found, new=False) if leads else None
    check_library(settings.track)
    folder.check_writable(settings.model_name)
    look(settings.data, settings.decoding, settings.task, settings.folder_rules)
    trained: Trained | None = import_module("vouch.trainer.run").run(settings)
    return trained
