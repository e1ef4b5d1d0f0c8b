"""Images with their answers: the worst mistakes, the likely label errors, and maps of where the scores came from.

All as values for the template.
"""

from typing import Any

import numpy as np

from vouch.trainer.report.activation import Places, places_of
from vouch.trainer.report.finished import Run
from vouch.trainer.report.next_steps import labels_of
from vouch.trainer.report.pictures import MappedTile, image_tile, mapped_tile
from vouch.trainer.report.wording import share, short

DOUBTS, FIRST = 24, 8
MAX_NAME = 200
"""Characters of a file's path."""
SIDE, FIRST_SIDE = 84, 132
"""CSS pixels of an image, and of one of the first images with its map."""
NAMED = 3
"""Number of classes that are listed with their probabilities, in addition to the labels."""


def mistakes_shown(run: Run, rows: np.ndarray) -> list[dict[str, Any]]:
    """Validation images in this order, with maps of the answer and of the label if the model has such maps.

    Args:
        rows: positions in validation.
    """
    part, names = run.splits.validation, run.splits.classes
    found = _places(run, rows)
    shown = []
    for number, row in enumerate(rows.tolist()):
        shares, truth = run.exam.probabilities[row], _truth(run, row)
        top = np.argsort(-shares, kind="stable")[:NAMED].tolist()
        said = top[0] if not run.several else int(np.abs(shares - part.labels[row]).argmax())
        mapped = [said] if found and found.two else list(dict.fromkeys([said, *truth[:1]]))
        shown.append(
            {
                "image": image_tile(part.images[row], f"validation image {row}", SIDE),
                "name": short(part.names[row], MAX_NAME),
                "truth": ", ".join(names[k] for k in truth) or "none",
                "bars": [
                    {"name": names[k], "share": float(shares[k]), "true": k in truth}
                    for k in dict.fromkeys([*top, *truth[:2]])
                ],
                "maps": _maps(run, part.images[row], found, number, mapped, truth) if found else [],
            }
        )
    return shown


def first_shown(run: Run) -> list[dict[str, Any]]:
    """The first validation images with maps of their answers; empty if the model has no such maps."""
    part, names = run.splits.validation, run.splits.classes
    rows = np.arange(min(FIRST, len(part)))
    found = _places(run, rows)
    if found is None:
        return []
    shown = []
    for row in rows.tolist():
        answer, truth = int(run.exam.probabilities[row].argmax()), _truth(run, row)
        parts = found.parts(row, answer)
        words = short(names[answer], 14), share(float(run.exam.probabilities[row, answer]), 1)
        tile = mapped_tile(part.images[row], parts, float(np.abs(parts).max()), FIRST_SIDE, words)
        shown.append({"map": tile, "right": answer in truth, "truth": ", ".join(names[k] for k in truth) or "none"})
        shown[-1]["name"] = short(part.names[row], MAX_NAME)
    return shown


def doubts_shown(run: Run) -> list[dict[str, Any]]:
    """The labels that are contradicted with the highest confidence, with their images."""
    found = []
    for doubt in run.hindsight.doubts[:DOUBTS]:
        part = run.splits.by_name[doubt.part]
        given, answer = labels_of(run, doubt)
        found.append(
            {
                "image": image_tile(part.images[doubt.row], f"{doubt.part} image {doubt.row}", SIDE),
                "name": short(part.names[doubt.row], MAX_NAME),
                "given": given,
                "bars": [
                    {"name": answer, "share": doubt.probability, "true": False},
                    {"name": given, "share": doubt.given, "true": True},
                ],
                "sure": doubt.sure,
            }
        )
    return found


def _places(run: Run, rows: np.ndarray) -> Places | None:
    return places_of(run.classifier, run.splits.validation.images[rows]) if len(rows) else None


def _truth(run: Run, row: int) -> list[int]:
    labels = run.splits.validation.labels[row]
    return np.flatnonzero(labels).tolist() if run.several else [int(labels)]


def _maps(
    run: Run, image: np.ndarray, found: Places, number: int, classes: list[int], truth: list[int]
) -> list[MappedTile]:
    """One map per class, all on the same scale."""
    parts = [found.parts(number, k) for k in classes]
    limit = max(float(np.abs(part).max()) for part in parts)
    names = run.splits.classes
    return [
        mapped_tile(image, part, limit, SIDE, (short(names[k], 14), "label" if k in truth else "answer"))
        for k, part in zip(classes, parts, strict=True)
    ]
