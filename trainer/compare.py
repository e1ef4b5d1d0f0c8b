"""Published models side by side: how they came about, how good they are, and whether chance explains the difference."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bundle.digest import image_digests
from bundle.manifest import MODEL
from bundle.multi_label import decide
from bundle.store import Bundle, open_bundle
from cli.console import progress_bar
from trainer.errors import TrainError
from trainer.mcnemar import holm, mcnemar
from trainer.validate import answers

Right = dict[tuple[object, ...], bool]
"""For each image of a validation split, known by its pixels and labels, whether it was answered rightly."""
RECORDS = ("epochs_seen", "best_epoch", "recipe_in_full")
"""Entries of a manifest's settings that nobody has set."""


@dataclass(frozen=True)
class Difference:
    """A model beside the first one, on the images that both were validated on."""

    images: int
    """That both were validated on."""
    only_first: int
    """Images that only the first answers rightly."""
    only_this: int
    p_value: float
    """McNemar's, corrected for the number of comparisons; 1 where there are no images."""


@dataclass(frozen=True)
class Comparison:
    """Models side by side."""

    bundles: tuple[Bundle, ...]
    differences: tuple[Difference | str, ...]
    """Of each but the first from the first; words where they cannot be compared."""
    settings: dict[str, tuple[Any, ...]]
    """Those that are not the same everywhere: name -> a value for each bundle; None where one has no such setting."""


def compare(paths: Sequence[Path]) -> Comparison:
    """Holds every model against the first.

    Each graph is run on the validation split in its own bundle, both held against the manifest's hashes.

    Args:
        paths: of two or more bundles.

    Raises:
        BundleError: a folder holds no valid bundle.
        TrainError: a graph cannot be run.
    """
    bundles = tuple(open_bundle(path) for path in paths)
    comparable = [sorted(bundle.manifest.labels) == sorted(bundles[0].manifest.labels) for bundle in bundles]
    with progress_bar("running the models", len(bundles)) as show:
        rights: list[Right] = []
        for number, bundle in enumerate(bundles, start=1):
            rights.append(_right_answers(bundle) if comparable[number - 1] else {})
            show(number)
    found = [_difference(rights[0], right) for right in rights[1:]]
    corrected = iter(holm([one.p_value for one in found if one.images]))
    differences: list[Difference | str] = []
    for one, fits in zip(found, comparable[1:], strict=True):
        if not fits:
            differences.append("it has other classes, so the two have no common question")
        elif not one.images:
            differences.append("no image was in both validation splits, so chance cannot be told from more")
        else:
            differences.append(Difference(one.images, one.only_first, one.only_this, next(corrected)))
    return Comparison(bundles, tuple(differences), _differing_settings(bundles))


def _right_answers(bundle: Bundle) -> Right:
    manifest, validation = bundle.manifest, bundle.read_validation()
    graph = bundle.read_model()
    try:
        probabilities = answers(graph, validation.images)
    except Exception as err:  # ONNX Runtime's exceptions have no common base of their own
        raise TrainError(f"{bundle.path / MODEL} cannot be run: {str(err).strip().splitlines()[0]}") from err
    if manifest.thresholds is None:
        right = probabilities.argmax(axis=1) == validation.labels
        names: list[tuple[str, ...]] = [(manifest.labels[label],) for label in validation.labels]
    else:
        right = (decide(probabilities, manifest.thresholds) == validation.labels).all(axis=1)
        names = [tuple(sorted(manifest.labels[k] for k in np.flatnonzero(row))) for row in validation.labels]
    times: Counter[tuple[object, ...]] = Counter()
    found: Right = {}
    for digest, of_image, is_right in zip(image_digests(validation.images), names, right.tolist(), strict=True):
        example = (digest.tobytes(), of_image)
        found[*example, times[example]] = is_right  # an image may be in it several times
        times[example] += 1
    return found


def _difference(first: Right, this: Right) -> Difference:
    common = first.keys() & this.keys()
    only_first = sum(first[example] and not this[example] for example in common)
    only_this = sum(this[example] and not first[example] for example in common)
    return Difference(len(common), only_first, only_this, mcnemar(only_first, only_this))


def _differing_settings(bundles: Sequence[Bundle]) -> dict[str, tuple[Any, ...]]:
    everything = [_settings(bundle) for bundle in bundles]
    names = dict.fromkeys(name for settings in everything for name in settings)
    values = {name: tuple(settings.get(name) for settings in everything) for name in names}
    return {name: of for name, of in values.items() if any(value != of[0] for value in of)}


def _settings(bundle: Bundle) -> dict[str, Any]:
    """What was asked for, and under `recipe.` what it came to."""
    recorded = bundle.manifest.training.settings
    recipe = recorded.get("recipe_in_full", {})
    asked = {name: value for name, value in recorded.items() if name not in RECORDS}
    return asked | _flat({name: value for name, value in recipe.items() if name not in asked}, "recipe.")


def _flat(values: dict[str, Any], before: str) -> dict[str, Any]:
    """Parts of parts by names with dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found
