"""Compares published models: their settings, their accuracy, and whether the difference is significant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.graph import check_graph
from vouch.bundle.listed import VALIDATION
from vouch.bundle.manifest import Manifest
from vouch.bundle.mcnemar import holm, mcnemar
from vouch.bundle.multi_label import Task
from vouch.bundle.opening import Bundle, open_bundle
from vouch.cli.console import progress_bar
from vouch.trainer.compare.differing_settings import differing_settings
from vouch.trainer.compare.right_answers import RightAnswers, right_answers
from vouch.trainer.compare.selection import Selection, select

QUESTIONS: dict[Task, str] = {"single_label": "one label per image", "multi_label": "several labels per image"}


@dataclass(frozen=True)
class Difference:
    """A model compared with the first one, on their common validation images."""

    images: int
    """Common validation images, at least one."""
    only_first: int
    """Images for which only the first model is right."""
    only_this: int
    p_value: float
    """McNemar's, corrected for the number of comparisons."""


@dataclass(frozen=True)
class Comparison:
    """Models side by side."""

    bundles: tuple[Bundle, ...]
    counted: tuple[Accuracy, ...]
    """Each model's right answers on its own validation split, counted now; the differences are based on them."""
    differences: tuple[Difference | str, ...]
    """Of each further model from the first; a reason in words if they cannot be compared."""
    selection: Selection | None
    """How choosing by these counts affects the claim; None if no model can be compared with the first."""
    settings: dict[str, tuple[Any, ...]]
    """Settings that differ: name -> a value for each bundle; None if a bundle has no such setting."""


def compare(paths: Sequence[Path], allowed_domains: Collection[str] = ()) -> Comparison:
    """Compares every model with the first.

    Every file of every bundle is checked against its manifest before the first graph is run. Each graph is run on the
    validation split of its own bundle.

    Args:
        paths: of two or more bundles.
        allowed_domains: domains of operators that are allowed in addition to ONNX's own.

    Raises:
        BundleError: a folder holds no valid bundle, a file in it is not the published one, or a graph has operators of
            another domain.
        TrainError: a graph cannot be run.
    """
    bundles = tuple(open_bundle(path) for path in paths)
    for bundle in bundles:
        bundle.check_files()
        check_graph(bundle.read_model(), allowed_domains)
    rights: list[RightAnswers] = []
    with progress_bar("running the models", len(bundles)) as show:
        for bundle in bundles:
            rights.append(right_answers(bundle))
            show(len(rights))
    counted = tuple(right.counted for right in rights)
    differences = _differences([bundle.manifest for bundle in bundles], rights)
    tested = [number for number, one in enumerate(differences, start=1) if isinstance(one, Difference)]
    return Comparison(
        bundles,
        counted,
        differences,
        select(counted, [0, *tested]),
        differing_settings([bundle.manifest.training for bundle in bundles]),
    )


def _differences(manifests: Sequence[Manifest], rights: Sequence[RightAnswers]) -> tuple[Difference | str, ...]:
    found = [
        _no_common_question(manifests[0], manifest) or _difference(rights[0], right)
        for manifest, right in zip(manifests[1:], rights[1:], strict=True)
    ]
    corrected = iter(holm([one.p_value for one in found if isinstance(one, Difference)]))
    return tuple(
        Difference(one.images, one.only_first, one.only_this, next(corrected)) if isinstance(one, Difference) else one
        for one in found
    )


def _no_common_question(first: Manifest, this: Manifest) -> str | None:
    """Why the two cannot be compared; None if they can be."""
    if sorted(this.labels) != sorted(first.labels):
        return "it has other classes than the first, so the two cannot be compared"
    if this.task != first.task:
        return f"it answers {QUESTIONS[this.task]}, the first {QUESTIONS[first.task]}: they cannot be compared"
    of_arrays = VALIDATION in this.files and VALIDATION in first.files  # files can be compared whatever their size
    if of_arrays and this.input.shape != first.input.shape:
        shapes = [" x ".join(map(str, manifest.input.shape)) for manifest in (this, first)]
        return f"its images are of {shapes[0]}, those of the first of {shapes[1]}, so they have no common images"
    return None


def _difference(first: RightAnswers, this: RightAnswers) -> Difference | str:
    """The difference, with an uncorrected p-value."""
    one, other = first.by_example, this.by_example
    common = one.keys() & other.keys()
    if not common:
        return "the two have no common validation images, so their difference cannot be tested"
    only_first = sum(one[example] and not other[example] for example in common)
    only_this = sum(other[example] and not one[example] for example in common)
    return Difference(len(common), only_first, only_this, mcnemar(only_first, only_this))
