"""A training as a whole: what can be known without torch, which takes seconds to load, and then the run."""

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
    """What a training came to."""

    bundle: Bundle
    new: bool
    """False where `--if-absent` found one."""
    read: Summary | None = None
    """What it was trained on; None where nothing was read."""
    advice: tuple[str, ...] = ()
    """What to do next, a sentence each; none where nothing was trained."""
    serving: "ServingCost | None" = None
    """What an image costs to serve here; likewise."""


def train(settings: TrainSettings) -> Trained | None:
    """From labelled images to a published bundle; None in a process that only helps the leading one.

    Raises:
        SourceError, TrainError, BundleError: nothing was published.
    """
    folder, leads = ModelsFolder(settings.models), os.environ.get("RANK", "0") == "0"
    if not leads:  # of those that torchrun started
        be_quiet()
    if settings.if_absent and (found := folder.latest(settings.model_name)):
        return Trained(found, new=False) if leads else None
    check_library(settings.track)
    folder.check_writable(settings.model_name)
    look(settings.data, settings.decoding, settings.task, settings.folder_rules)
    trained: Trained | None = import_module("vouch.trainer.run").run(settings)
    return trained
