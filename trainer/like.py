"""`--like`: the training of a bundle once more, and whether the same came of it."""

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
    """The settings of a bundle's training, which hold where no flag says otherwise.

    Args:
        asked: what flags, environment and file say without the bundle.

    Raises:
        BundleError, TrainError: there is no bundle, no recipe of today's in it, or its data is not here.
    """
    manifest = open_bundle(path).manifest
    training, recipe = manifest.training, recipe_of(path)
    base = {name: value for name, value in _as_today(training.asked).items() if name in TrainSettings.deciding_names()}
    base |= {"name": manifest.name, "threads": recipe.threads}
    if asked.task:
        base |= {"multi_label": asked.multi_label, "single_label": asked.single_label}
    elif "multi_label" not in base:  # it was made when a list of one label each was multi-label too
        base["multi_label"] = manifest.task == "multi_label"
    if "data" in asked.model_fields_set and not _is_here(training.data):
        del base["data"]
    elif not _is_here(training.data):
        raise TrainError(
            f"{path} was trained on {training.data!r}, of which the name alone is recorded, and there is nothing of "
            "that name here: pass DATA too, the path to it"
        )
    file = str(base.get("backbone", ""))
    if file.endswith(".onnx") and "backbone" not in asked.model_fields_set and not Path(file).exists():
        raise TrainError(
            f"{path} has the backbone {file}, of which the name alone is recorded, and there is no file of that name "
            "here: pass --backbone too, the path to it"
        )
    return base


def _as_today(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of earlier versions by today's names; those before `fit` stretched, and parted near duplicates."""
    named = {"preset": "best", **asked} if asked.get("recipe") == "best" else dict(asked)
    return {"fit": "stretch", "keep_alike": False, **named}


def _is_here(data: str) -> bool:
    return data in NAMED or Path(data).exists()


def recipe_of(path: Path) -> Recipe:
    """The recipe of a bundle's training. Raises BundleError and TrainError."""
    recipe = open_bundle(path).manifest.training.recipe
    if recipe is None:
        raise TrainError(f"{path} was made by an earlier version of vouch, whose recipe this one does not have")
    return recipe


def note_threads(recipe: Recipe, cores: int) -> None:
    """Says it where the recorded threads are more than the cores here: the sums are the same, only slower."""
    if recipe.threads > cores:
        say(f"{recipe.threads} threads as recorded, on {cores} core{'s' * (cores > 1)} here: slower, but the same sums")


def recipe_like(path: Path, settings: TrainSettings, today: Recipe) -> Recipe:
    """As recorded in the bundle that is to be repeated, unless a flag changes the recipe; then today's.

    Args:
        today: the recipe that these settings have in this version.
    """
    recorded = _as_today(open_bundle(path).manifest.training.asked)
    unsaid = TrainSettings.model_construct().deciding()  # of settings that came later than the bundle
    asked = settings.deciding()
    if changed := [name for name in OF_THE_RECIPE if recorded.get(name, unsaid[name]) != asked[name]]:
        differ = f"{', '.join(map(flag_name, changed))} differ{'s' * (len(changed) == 1)}"
        say(f"the recipe is today's, not that of {path}, because {differ}")
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
    """Whether a repeated training gave the graph of the bundle at `path`, and if not, what was otherwise."""
    if after.training.data_digest != before.training.data_digest:
        there, here = before.input.rules, after.input.rules
        rules = f"; files were decoded by rules {there} there and by rules {here} here" if there != here else ""
        return f"the images are not those of {path}: fit, tune or validation differ from them{rules}"
    if after.files[MODEL] == before.files[MODEL]:
        return f"{MODEL} is that of {path}, byte for byte"
    differ = differences(before.training, after.training)
    reason = "; ".join(differ) or "nothing that is recorded differs"
    if after.training.circumstances.deterministic is False:
        reason += "; on a GPU the same bits are not promised unless torch's deterministic algorithms are on"
    return f"{MODEL} is not that of {path} to the byte ({reason}); the claim was {before.claim.accuracy}"


def differences(there: Training, here: Training) -> list[str]:
    """Settings, circumstances and libraries that are not the same; what nobody recorded is left out."""
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
