"""The second half of the page, how good the model is, as values for the template."""

from math import sqrt
from typing import Any

import numpy as np

from vouch.bundle.caveats import guarantee_in_words, withheld_in_words
from vouch.trainer.report.figures import curves_figure, learning_figure, rate_figure, reliability_figure
from vouch.trainer.report.finished import Run
from vouch.trainer.report.gallery import choose_images
from vouch.trainer.report.judged import MAX_NAME, doubts_shown, first_shown, mistakes_shown
from vouch.trainer.report.next_steps import next_steps, scores_of
from vouch.trainer.report.outcome import (
    ClassScore,
    Pair,
    pairs_of,
    reliability,
    worst_mistakes,
)
from vouch.trainer.report.pictures import Sheet, Tile, counts_uri, is_photograph, shown_size
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.wording import short

WHOLE_MATRIX = 20
"""Up to this many classes the confusion matrix is a table; with more, a picture and the most confused pairs."""
PAIRS = 10
GALLERY_PAIRS = 40
MISTAKES = 12
LISTED_CLASSES = 60
PLOTTED_EPOCHS = 400
HEAT_SIDE = 100
WINDOW, PHOTO_WINDOW = 56, 88
"""CSS pixels of an image for a cell of the confusion matrix, and of a photograph."""


def measured(run: Run, recorder: Recorder) -> dict[str, Any]:
    """What the template needs for the second half, except the gallery."""
    labels, probabilities, names = run.splits.validation.labels, run.exam.probabilities, run.splits.classes
    mistakes = worst_mistakes(labels, probabilities, run.exam.thresholds)
    certainty = reliability(labels, probabilities)
    return {
        **_curves(run, recorder),
        "confusion": None if run.several else _confusion(run),
        "mistakes": mistakes_shown(run, mistakes[:MISTAKES]),
        "mistakes_in_all": len(mistakes),
        "doubts": doubts_shown(run),
        "places": first_shown(run),
        "next_steps": next_steps(run).sentences,
        "learning_figure": _learning(run),
        "classes": _classes(scores_of(run), names),
        "classes_in_all": len(names),
        "guarantee": guarantee_in_words(run.exam.calibration),
        "withheld": [withheld_in_words(one) for one in run.exam.calibration.withheld],
        "certainty": certainty,
        "certainty_figure": reliability_figure(certainty),
    }


def gallery(run: Run, most_images: int) -> dict[str, Any] | None:
    """The sheet of thumbnails for the confusion matrix, and for each cell the numbers of its images with probabilities
    and names; None for a model without such a matrix.

    Args:
        run: a finished training.
        most_images: over all cells.
    """
    if run.several:
        return None
    names, images, shares = run.splits.classes, run.splits.validation.images, run.exam.probabilities
    pairs = _pairs(run)
    if len(names) > WHOLE_MATRIX:
        pairs = [pair for pair in pairs if pair.truth != pair.answer][:GALLERY_PAIRS]
    cells = sorted((pair.truth, pair.answer) for pair in pairs)
    chosen = choose_images(run.splits.validation.labels, shares, cells, most_images)
    rows = [row for some in chosen.values() for row in some]
    sheet = Sheet(images[row] for row in rows)
    place, called = {row: number for number, row in enumerate(rows)}, run.splits.validation.names
    data = {
        f"{truth},{answer}": [
            [
                place[row],
                row,
                round(float(shares[row, truth]), 4),
                round(float(shares[row, answer]), 4),
                short(called[row], MAX_NAME),
            ]
            for row in some
        ]
        for (truth, answer), some in chosen.items()
    }
    used = {k: names[k] for cell in chosen for k in cell}
    return {
        "sheet": sheet,
        "window": shown_size(
            images.shape[1], images.shape[2], PHOTO_WINDOW if is_photograph(images.shape[1:]) else WINDOW
        ),
        "data": {"cells": data, "columns": sheet.columns, "rows": sheet.rows, "names": used},
    }


def _curves(run: Run, recorder: Recorder) -> dict[str, Any]:
    every = -(-len(run.fitted.epochs) // PLOTTED_EPOCHS)
    epochs = [*run.fitted.epochs[:-1:every], run.fitted.epochs[-1]]
    numbers = [epoch.number for epoch in epochs]
    losses, shares = (
        [("fit", [epoch.fit_loss for epoch in epochs])],
        [("fit", [epoch.fit_accuracy for epoch in epochs])],
    )
    if len(run.splits.tune):
        losses.append(("tune", [epoch.tune_loss for epoch in epochs]))
        losses.append(("tune, best temperature", [epoch.tune_loss_calibrated for epoch in epochs]))
        shares.append(("tune", [epoch.tune_accuracy for epoch in epochs]))
    timed = [epoch for epoch in epochs if epoch.seconds > 0]
    speeds = [epoch.images / epoch.seconds for epoch in timed]
    seconds = sum(epoch.seconds for epoch in run.fitted.epochs)
    return {
        "loss_figure": curves_figure(numbers, losses, percent=False),
        "accuracy_figure": curves_figure(numbers, shares, percent=True),
        "rate_figure": rate_figure(list(recorder.steps)),
        "speed_figure": curves_figure([epoch.number for epoch in timed], [("images per second", speeds)], False),
        "images": sum(epoch.images for epoch in run.fitted.epochs),
        "speed": sum(epoch.images for epoch in run.fitted.epochs) / seconds if seconds else 0.0,
        "step_seconds": seconds,
        "last": run.fitted.epochs[-1],
        "before": run.fitted.epochs[0],
    }


def _pairs(run: Run) -> list[Pair]:
    return pairs_of(run.splits.validation.labels, run.exam.probabilities.argmax(axis=1), len(run.splits.classes))


def _confusion(run: Run) -> dict[str, Any]:
    pairs = _pairs(run)
    wrong = [pair for pair in pairs if pair.truth != pair.answer]
    classes = len(run.splits.classes)
    images = np.bincount(run.splits.validation.labels, minlength=classes)
    small = classes <= WHOLE_MATRIX
    return {
        "matrix": _matrix(pairs, images.tolist()) if small else None,
        "heat": None if small else _heat(pairs, classes),
        "pairs": [
            {"pair": pair, "share": pair.count / int(images[pair.truth])}
            for pair in wrong[: PAIRS if small else GALLERY_PAIRS]
        ],
    }


def _matrix(pairs: list[Pair], images: list[int]) -> list[list[dict[str, Any]]]:
    """Rows of cells: count, and strength of its colour, 0 to 1."""
    counts = {(pair.truth, pair.answer): pair.count for pair in pairs}
    most_wrong = max((pair.count for pair in pairs if pair.truth != pair.answer), default=1)
    classes = range(len(images))

    def strength(truth: int, answer: int) -> float:
        count = counts.get((truth, answer), 0)
        if truth == answer:
            return count / images[truth] if images[truth] else 0.0
        return sqrt(count / most_wrong)

    return [
        [{"count": counts.get((t, a), 0), "strength": round(strength(t, a), 3), "right": t == a} for a in classes]
        for t in classes
    ]


def _heat(pairs: list[Pair], classes: int) -> Tile:
    """The whole matrix as a picture, with several classes per pixel if there are many; without right answers."""
    side = min(classes, HEAT_SIDE)
    counts = np.zeros((side, side))
    for pair in pairs:
        if pair.truth != pair.answer:
            counts[pair.truth * side // classes, pair.answer * side // classes] += pair.count
    width, height = shown_size(side, side, 340)
    return Tile(counts_uri(counts), "how often each class (down) was taken for each other (across)", width, height)


def _learning(run: Run) -> str | None:
    curve = run.hindsight.curve
    return learning_figure(curve.images, curve.right) if curve else None


def _classes(scores: list[ClassScore], names: tuple[str, ...]) -> list[dict[str, Any]]:
    """One row per class; with very many, those with the lowest F1."""
    rows = [{"name": name, "score": score} for name, score in zip(names, scores, strict=True)]
    if len(rows) <= LISTED_CLASSES:
        return rows
    worst = sorted(range(len(rows)), key=lambda k: (scores[k].f1 is None, scores[k].f1 or 0.0))
    return [rows[k] for k in worst[:LISTED_CLASSES]]
