"""The checkpoint of a training: which one is its own, which others are kept beside it, and how to go on from it."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from vouch.bundle.training import Recipe
from vouch.cli.console import say
from vouch.cli.settings import flag_name
from vouch.sources.split_names import Part
from vouch.trainer.backbones import digest_of
from vouch.trainer.compare.differing_settings import flat
from vouch.trainer.learn.checkpoint import Checkpoint, Stateful, identity_of, remove_expired
from vouch.trainer.learn.processes import Processes
from vouch.trainer.settings import AFTER_FITTING, TrainSettings
from vouch.trainer.splits.split import data_digest

SHOWN = 3
"""Checkpoints of other settings that are described."""


def open_checkpoint(
    settings: TrainSettings,
    recipe: Recipe,
    digests: Mapping[Part, str],
    processes: Processes,
    parts: Mapping[str, Stateful],
) -> Checkpoint:
    """The file that keeps this training's state; says what is there, and removes what it was told to.

    Args:
        digests: of the splits.
        parts: what is kept beside the fit's own state, by name.
    """
    identity = {
        "settings": settings.deciding(without=(*AFTER_FITTING, "threads", "data")),  # threads are in the recipe
        "recipe": asdict(recipe),
        "data": data_digest(digests),
        "torch": torch.__version__,
        "processes": processes.count,
        "device": processes.device.type,
        **({"backbone": digest_of(settings)} if recipe.model == "backbone" else {}),
    }
    folder = settings.models / settings.model_name
    checkpoint = Checkpoint(folder, json.dumps(identity, sort_keys=True), parts, settings.resume)
    if not processes.leads:
        return checkpoint
    if expired := remove_expired(settings.models, checkpoint):
        say(f"removed checkpoints that nobody went on from for 30 days: {', '.join(map(str, expired))}")
    _tell_of_others(checkpoint, identity, settings)
    if settings.resume and not checkpoint.exists():
        say("no interrupted training with these settings and images is kept: beginning from the start")
    elif settings.resume:
        say(f"going on from {checkpoint.path}")
    elif checkpoint.exists():
        say(
            "warning: an interrupted training like this one is kept; this one begins from the start, "
            "--resume would have gone on"
        )
    return checkpoint


def _tell_of_others(checkpoint: Checkpoint, identity: dict[str, Any], settings: TrainSettings) -> None:
    """Removes the checkpoints of this name that other settings left, where told to; else names them."""
    others = checkpoint.others()
    if settings.remove_checkpoints:
        for path in others:
            path.unlink(missing_ok=True)
        if others:
            say(f"removed checkpoints of other settings: {', '.join(map(str, others))}")
        return
    for path in others[:SHOWN]:
        size, age = path.stat().st_size, time.time() - path.stat().st_mtime
        say(
            f"kept from a training with other settings: {path} ({size / 1e6:,.1f} MB, {_hours(age)}): "
            f"{_differences(identity_of(path), identity)}"
        )
    if others:
        more = f" ({len(others) - SHOWN:,} more are there)" if len(others) > SHOWN else ""
        say(f"--resume goes on with the settings of a checkpoint alone; --remove-checkpoints removes these{more}")


def _hours(seconds: float) -> str:
    return "written just now" if seconds < 3600 else f"{seconds / 3600:,.0f} hours old"


def _differences(there: str | None, here: dict[str, Any]) -> str:
    """In which settings, recipe and circumstances a checkpoint differs; of two names for one thing the recipe's."""
    try:
        known = json.loads(there or "")
        theirs, ours = _as_one(known), _as_one(here)
    except (ValueError, TypeError, KeyError, AttributeError):
        return "of another version of vouch"
    differ = [name for name in ours | theirs if theirs.get(name) != ours.get(name)]
    words = [
        f"{flag_name(name) if name in TrainSettings.model_fields else name} {theirs.get(name)} there, "
        f"{ours.get(name)} here"
        for name in differ
        if name != "data"
    ]
    return "; ".join(words + ["other images"] * ("data" in differ))[:1000] or "nothing differs"


def _as_one(identity: Mapping[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in identity.items() if name not in ("settings", "recipe")}
    return {**identity["settings"], **flat(identity["recipe"]), **others}


@contextmanager
def telling_how_to_go_on(checkpoint: Checkpoint) -> Iterator[None]:
    """Where the block is interrupted, says what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if done := checkpoint.done():
            say(f"interrupted: {done} are kept; the same command with --resume goes on from there")
        else:
            say("interrupted before anything could be kept: there is nothing to go on from")
        raise
