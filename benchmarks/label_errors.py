"""How many wrong labels are found: 5 % of the fit labels are changed, with several seeds, and searched in the list.

    python -m benchmarks.label_errors [--photos ../shared/data/insects]

Counts the changed labels among the first 5 % of the list in `label-errors.csv` for fit. Digits are judged by their
pixels, photographs by heads on lite0's features, out of fold. Labels that were wrong before, and hard images, stay in
the data, as in practice. A minute or two on two cores.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from benchmarks.runs import keep, machine
from vouch.bundle.training import Recipe
from vouch.sources.load import load
from vouch.sources.wanted import Wanted
from vouch.trainer.judge.doubtful import Doubt, doubtful
from vouch.trainer.judge.hindsight import features_learned_from
from vouch.trainer.judge.kernel import left_out, of_features, of_pixels
from vouch.trainer.learn.backbone.backbone import lite0
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.head import fit_head
from vouch.trainer.learn.judges import in_order_of_fit
from vouch.trainer.splits.split import Splits, make_splits

SHARE = 0.05
Judge = Callable[[Splits], np.ndarray]
"""Gives probabilities of the fit images, of what has not learned them."""


def main() -> None:
    """Prints a table and stores the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos",
        type=Path,
        default=Path("../shared/data/insects"),
        help="a folder of class folders; left out if missing",
    )
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    trials: dict[str, tuple[Splits, Judge]] = {"digits, by their pixels": (_splits("digits", Wanted()), _by_pixels)}
    if asked.photos.is_dir():
        photos = _splits(str(asked.photos), Wanted(size=(224, 224), channels=3, fit="crop"))
        model = FrozenClassifier(lite0((224, 224, 3)), len(photos.classes), threads=2)
        trials[f"{asked.photos.name}, by heads left out"] = photos, lambda splits: _by_heads(model, splits)
        trials[f"{asked.photos.name}, by kernel ridge"] = photos, lambda splits: _by_ridge(model, splits)
    figures = {name: _measured(splits, judge, asked.seeds) for name, (splits, judge) in trials.items()}
    print("| data | changed of | found among the first 5 % | surely contradicted | of them changed |")
    print("|---|---|---|---|---|")
    for name, found in figures.items():
        print(
            f"| {name} | {found['changed']} of {found['images']:,} | {found['found']:.1%} | {found['sure']:.1f} | "
            f"{found['sure_and_changed']:.1f} |"
        )
    keep("label_errors", {"machine": machine(), "seeds": asked.seeds, "share": SHARE, "trials": figures})


def _splits(spec: str, wanted: Wanted) -> Splits:
    return make_splits(load(spec, wanted), 0.1, 0.2, seed=0, allow_duplicates=True)


def _measured(splits: Splits, judge: Judge, seeds: int) -> dict[str, Any]:
    runs = [_run(splits, judge, seed) for seed in range(seeds)]
    count = len(splits.fit)
    return {"images": count, "changed": round(SHARE * count)} | {key: mean(run[key] for run in runs) for key in runs[0]}


def _run(splits: Splits, judge: Judge, seed: int) -> dict[str, float]:
    random, count, classes = np.random.default_rng(seed), len(splits.fit), len(splits.classes)
    changed = random.choice(count, round(SHARE * count), replace=False)
    labels = splits.fit.labels.copy()
    labels[changed] = (labels[changed] + random.integers(1, classes, len(changed))) % classes
    found = doubtful("fit", labels, judge(replace(splits, fit=replace(splits.fit, labels=labels))))
    sure = [doubt for doubt in found if doubt.sure]
    return {
        "found": _among(changed, found[: len(changed)]) / len(changed),
        "sure": len(sure),
        "sure_and_changed": _among(changed, sure),
    }


def _among(changed: np.ndarray, doubts: list[Doubt]) -> int:
    return len({doubt.row for doubt in doubts} & set(changed.tolist()))


def _by_pixels(splits: Splits) -> np.ndarray:
    return left_out(of_pixels(splits.fit.images[np.arange(len(splits.fit))]), splits.fit.labels, len(splits.classes))


def _by_heads(model: FrozenClassifier, splits: Splits) -> np.ndarray:
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=1, optimizer="sgd", threads=2)
    out_of_fold = in_order_of_fit(fit_head(model, splits, recipe).folds, temperature=1.0)
    assert out_of_fold is not None, "there are too few images for cross-validation"
    return out_of_fold


def _by_ridge(model: FrozenClassifier, splits: Splits) -> np.ndarray:
    features = features_learned_from(model, splits)
    assert features is not None, "the head is on a frozen backbone"
    return left_out(of_features(features), splits.fit.labels, len(splits.classes))


if __name__ == "__main__":
    main()
