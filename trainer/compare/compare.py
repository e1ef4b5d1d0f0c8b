"""Published models side by side: how they came about, how good they are, and whether chance explains the difference."""

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

QUESTIONS: dict[Task, str] = {"single_label": "for the one label of an image", "multi_label": "for all its labels"}


@dataclass(frozen=True)
class Difference:
    """A model beside the first one, on the images that both were validated on."""

    images: int
    """That both were validated on, at least one."""
    only_first: int
    """Images that only the first answers rightly."""
    only_this: int
    p_value: float
    """McNemar's, corrected for the number of comparisons."""


@dataclass(frozen=True)
class Comparison:
    """Models side by side."""

    bundles: tuple[Bundle, ...]
    counted: tuple[Accuracy, ...]
    """What each graph came to here and now, on its own validation split: what the differences are made of."""
    differences: tuple[Difference | str, ...]
    """Of each but the first from the first; words where they cannot be compared."""
    selection: Selection | None
    """What a choice by these counts does to the claim; None where none can be compared with the first."""
    settings: dict[str, tuple[Any, ...]]
    """Those that are not the same everywhere: name -> a value for each bundle; None where one has no such setting."""


def compare(paths: Sequence[Path], allowed_domains: Collection[str] = ()) -> Comparison:
    """Holds every model against the first.

    Every file of every bundle is held against its manifest before the first graph is run, on the validation split in
    its own bundle.

    Args:
        paths: of two or more bundles.
        allowed_domains: of operators, beside ONNX's own.

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
    """Why an image cannot be the same question to both, if so."""
    if sorted(this.labels) != sorted(first.labels):
        return "it has other classes, so the two have no common question"
    if this.task != first.task:
        return f"it is asked {QUESTIONS[this.task]}, the first {QUESTIONS[first.task]}: no common question"
    of_arrays = VALIDATION in this.files and VALIDATION in first.files  # files are the same whatever they become
    if of_arrays and this.input.shape != first.input.shape:
        shapes = [" x ".join(map(str, manifest.input.shape)) for manifest in (this, first)]
        return f"its images are of {shapes[0]}, those of the first of {shapes[1]}, so none can be the same"
    return None


def _difference(first: RightAnswers, this: RightAnswers) -> Difference | str:
    """With the p-value as it is alone."""
    one, other = first.by_example, this.by_example
    common = one.keys() & other.keys()
    if not common:
        return "no image was in both validation splits, so chance cannot be told from more"
    only_first = sum(one[example] and not other[example] for example in common)
    only_this = sum(other[example] and not one[example] for example in common)
    return Difference(len(common), only_first, only_this, mcnemar(only_first, only_this))
