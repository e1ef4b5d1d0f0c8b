"""The settings in which trainings differ: requested settings, the recipe, and the fit images."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from vouch.bundle.training import Recipe, Setting, Training


def differing_settings(trainings: Sequence[Training]) -> dict[str, tuple[Any, ...]]:
    """Settings that differ: name -> a value for each training, None if one has no such setting."""
    everything = [_settings(training) for training in trainings]
    names = dict.fromkeys(name for settings in everything for name in settings)
    values = {name: tuple(settings.get(name) for settings in everything) for name in names}
    return {name: of for name, of in values.items() if any(value != of[0] for value in of)}


def _settings(training: Training) -> dict[str, Any]:
    settings = chosen_settings(training.asked, training.recipe)
    fit = training.splits.get("fit")
    learned = {"fit.images": fit.size, "fit.digest": fit.digest[:8]} if fit else {}
    backbone = {"backbone.sha256": training.backbone.weights_sha256[:8]} if training.backbone else {}
    return settings | learned | backbone


def chosen_settings(asked: Mapping[str, Setting], recipe: Recipe | None) -> dict[str, Any]:
    """The requested settings, with the recipe's values where it has them: a requested 0 leaves the number open."""
    chosen = flat(asdict(recipe)) if recipe else {}
    return dict(asked) | {name if name in asked else f"recipe.{name}": value for name, value in chosen.items()}


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values in one dictionary, by names with dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {before + name: value}
    return found
