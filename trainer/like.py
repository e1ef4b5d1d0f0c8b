"""`--like`: repeats the training of a bundle, and compares the results."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vouch.bundle.listed import MODEL
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import open_bundle
from vouch.bundle.training import Recipe, Training
from vouch.cli.console import say
from vouch.cli.settings import flag_name
from vouch.sources.load import NAMED
from vouch.trainer.compare.differing_settings import differing_settings
from vouch.trainer.errors import TrainError
from vouch.trainer.settings import OF_THE_RECIPE, TrainSettings


def base_of(path: Path, asked: TrainSettings) -> dict[str, Any]:
    """The settings of a bundle's training, used as defaults below flags.

    Args:
        asked: the settings from flags, environment and file, without the bundle.

    Raises:
        BundleError, TrainError: there is no bundle, it has no recipe, or its data is not on this machine.
    """
    manifest = open_bundle(path).manifest
    training, recipe = manifest.training, recipe_of(path)
    base = {name: value for name, value in _as_today(training.asked).items() if name in TrainSettings.deciding_names()}
    base |= {"name": manifest.name, "threads": recipe.threads}
    if asked.task:
        base |= {"multi_label": asked.multi_label, "single_label": asked.single_label}
    elif "multi_label" not in base:  # older bundles: a list with one label each was multi-label too
        base["multi_label"] = manifest.task == "multi_label"
    if "data" in asked.model_fields_set and not _is_here(training.data):
        del base["data"]
    elif not _is_here(training.data):
        raise TrainError(
            f"{path} was trained on {training.data!r}, which is not found here; only its name is recorded: pass DATA "
            "too, the path to it"
        )
    file = str(base.get("backbone", ""))
    if file.endswith(".onnx") and "backbone" not in asked.model_fields_set and not Path(file).exists():
        raise TrainError(
            f"{path} has the backbone {file}, which is not found here; only its name is recorded: pass --backbone "
            "too, the path to it"
        )
    return base


def _as_today(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of earlier versions by today's names; before `fit` existed, images were stretched, and near duplicates
    could be on both sides of a split.
    """
    named = {"preset": "best", **asked} if asked.get("recipe") == "best" else dict(asked)
    return {"fit": "stretch", "keep_alike": False, **named}


def _is_here(data: str) -> bool:
    return data in NAMED or Path(data).exists()


def recipe_of(path: Path) -> Recipe:
    """The recipe of a bundle's training. Raises BundleError and TrainError."""
    recipe = open_bundle(path).manifest.training.recipe
    if recipe is None:
        raise TrainError(f"{path} was made by an earlier version of vouch and has no recipe that can be repeated")
    return recipe


def note_threads(recipe: Recipe, cores: int) -> None:
    """Prints a line if more threads are recorded than this machine has cores: slower, but with the same result."""
    if recipe.threads > cores:
        say(
            f"using {recipe.threads} threads as recorded, on {cores} core{'s' * (cores > 1)}: slower, but the same "
            "result"
        )


def recipe_like(path: Path, settings: TrainSettings, today: Recipe) -> Recipe:
    """The recipe recorded in the bundle, or today's if a flag changes it.

    Args:
        today: the recipe of these settings in this version.
    """
    recorded = _as_today(open_bundle(path).manifest.training.asked)
    unsaid = TrainSettings.model_construct().deciding()  # for settings that are newer than the bundle
    asked = settings.deciding()
    if changed := [name for name in OF_THE_RECIPE if recorded.get(name, unsaid[name]) != asked[name]]:
        differ = f"{', '.join(map(flag_name, changed))} differ{'s' * (len(changed) == 1)}"
        say(f"using the current recipe, not that of {path}, because {differ}")
        return today
    of_bundle = recipe_of(path)
    return replace(
        of_bundle,
        seed=settings.seed,
        balance=settings.balance,
        threads=today.threads,
        precision=of_bundle.precision if settings.precision == "auto" else today.precision,
        focus=of_bundle.focus if of_bundle.balance == settings.balance else today.focus,
        preset=of_bundle.preset or today.preset,
        model=of_bundle.model or today.model,
    )


def what_came_of_it(path: Path, before: Manifest, after: Manifest) -> str:
    """Whether a repeated training gave the same graph as the bundle at `path`, and if not, what differs."""
    if after.training.data_digest != before.training.data_digest:
        there, here = before.input.rules, after.input.rules
        rules = f"; files were decoded by rules {there} there and by rules {here} here" if there != here else ""
        return f"the images differ from those of {path} in fit, tune or validation{rules}"
    if after.files[MODEL] == before.files[MODEL]:
        return f"{MODEL} is identical to that of {path}"
    differ = differences(before.training, after.training)
    reason = "; ".join(differ) or "no recorded setting differs"
    if after.training.circumstances.deterministic is False:
        reason += "; a GPU gives identical results only with torch's deterministic algorithms"
    return f"{MODEL} differs from that of {path} ({reason}), whose claim was {before.claim.accuracy}"


def differences(there: Training, here: Training) -> list[str]:
    """Settings, circumstances and libraries that differ; values that were not recorded are left out."""
    found: dict[str, tuple[object, object]] = {}
    for name, values in differing_settings([there, here]).items():
        found[name] = (values[0], values[1])
    theirs, ours = there.circumstances.model_dump(), here.circumstances.model_dump()
    theirs |= there.libraries
    for name, value in (ours | here.libraries).items():
        if theirs.get(name) not in (None, value):
            found[name] = (theirs[name], value)
    return [f"{name} {_in_words(before)} there, {_in_words(after)} here" for name, (before, after) in found.items()]


def _in_words(value: object) -> str:
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
