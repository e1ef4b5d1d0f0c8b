"""The checkpoint of a training: its own, the others in its folder, and how to resume from it."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
"""At most this many checkpoints with other settings are described."""


def open_checkpoint(
    settings: TrainSettings,
    recipe: Recipe,
    digests: Mapping[Part, str],
    processes: Processes,
    parts: Mapping[str, Stateful],
) -> Checkpoint:
    """The file that keeps this training's state; prints which checkpoints exist, and removes those that the settings
    name.

    Args:
        digests: of the splits.
        parts: what is stored besides the fit's own state, by name.
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
        say(f"removed checkpoints that were not resumed for 30 days: {', '.join(map(str, expired))}")
    _tell_of_others(checkpoint, identity, settings)
    if settings.resume and not checkpoint.exists():
        say("no checkpoint with these settings and images: starting from the beginning")
    elif settings.resume:
        say(f"resuming from {checkpoint.path}")
    elif checkpoint.exists():
        say(
            "warning: there is a checkpoint of an interrupted training with these settings; this training starts from "
            "the beginning; pass --resume to continue that one"
        )
    return checkpoint


def _tell_of_others(checkpoint: Checkpoint, identity: dict[str, Any], settings: TrainSettings) -> None:
    """Removes this model's checkpoints with other settings if requested; otherwise names them."""
    others = checkpoint.others()
    if settings.remove_checkpoints:
        for path in others:
            path.unlink(missing_ok=True)
        if others:
            say(f"removed checkpoints with other settings: {', '.join(map(str, others))}")
        return
    for path in others[:SHOWN]:
        size, age = path.stat().st_size, time.time() - path.stat().st_mtime
        say(
            f"checkpoint of a training with other settings: {path} ({size / 1e6:,.1f} MB, {_hours(age)}): "
            f"{_differences(identity_of(path), identity)}"
        )
    if others:
        more = f" ({len(others) - SHOWN:,} more exist)" if len(others) > SHOWN else ""
        say(f"--resume needs the settings of the checkpoint; --remove-checkpoints removes these{more}")


def _hours(seconds: float) -> str:
    return "written just now" if seconds < 3600 else f"{seconds / 3600:,.0f} hours old"


def _differences(there: str | None, here: dict[str, Any]) -> str:
    """How a checkpoint differs: in requested settings, circumstances, and images.

    The recipe's numbers are named only if nothing else differs: then another version of vouch derived another recipe
    from the same settings.
    """
    try:
        theirs = _parts(json.loads(there or ""))
    except (ValueError, TypeError, KeyError, AttributeError):
        return "written by another version of vouch"
    ours = _parts(here)
    said = [
        *_flags(theirs.settings, ours.settings),
        *(f"{name} {one} there, {other} here" for name, one, other in _unequal(theirs.others, ours.others)),
        *(["other images"] if theirs.data != ours.data else []),
    ]
    said = said or [f"{name} {one} there, {other} here" for name, one, other in _unequal(theirs.recipe, ours.recipe)]
    return "; ".join(said)[:1000] or "nothing differs"


@dataclass(frozen=True)
class _Parts:
    """The parts of an identity."""

    settings: dict[str, Any]
    """As requested."""
    others: dict[str, Any]
    recipe: dict[str, Any]
    """Derived from the settings and the images."""
    data: str


def _parts(identity: Mapping[str, Any]) -> _Parts:
    others, recipe = dict(identity), flat(identity["recipe"])
    settings, data = dict(others.pop("settings")), others.pop("data")
    others["threads"] = recipe.pop("threads", None)
    others["the backbone's SHA-256"] = others.pop("backbone", None)
    del others["recipe"]
    return _Parts(settings, others, recipe, data)


def _unequal(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Names of differing values, with both values."""
    both = ((name, theirs.get(name), ours.get(name)) for name in {**ours, **theirs})
    return [(name, one, other) for name, one, other in both if one != other]


def _flags(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    return [
        f"{flag_name(name)} {_asked(name, one)} there, {_asked(name, other)} here"
        for name, one, other in _unequal(theirs, ours)
    ]


def _asked(name: str, value: Any) -> Any:
    """A value as its flag takes it; "not given" if it is the default and that has no meaning by itself."""
    field = TrainSettings.model_fields.get(name)
    unsaid = value is None or (field and value == field.default and not isinstance(value, bool) and not value)
    return "not given" if unsaid else value


@contextmanager
def telling_how_to_go_on(checkpoint: Checkpoint) -> Iterator[None]:
    """If the block is interrupted, prints what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if done := checkpoint.done():
            say(f"interrupted: {done} are kept; continue with the same command and --resume")
        else:
            say("interrupted before anything could be kept: there is nothing to resume")
        raise
