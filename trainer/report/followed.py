"""The parts of the story about its image that are the same for all models: scores, moments, probabilities."""

from typing import Any

import numpy as np

from vouch.trainer.report.figures import curves_figure
from vouch.trainer.report.finished import Run
from vouch.trainer.report.looks import Look
from vouch.trainer.report.pictures import image_tile
from vouch.trainer.report.recorder import Moment, Recorder
from vouch.trainer.report.story import Story
from vouch.trainer.report.wording import short

NUMBERS_SIDE = 10
"""Pixels per side of the cut-out that is shown as numbers."""
TERMS = 6
"""Products that are written out before the sum."""
TABLED_MOMENTS = 12
RIVALS = 4


def common(run: Run, recorder: Recorder, story: Story) -> dict[str, Any]:
    """What the template needs for any story."""
    names = run.splits.classes
    truth = ", ".join(names[k] for k in story.truth) or "none"
    return {
        "image": image_tile(story.image, f"the first training image, labelled {truth}", 168),
        "truth": truth,
        "labelled": bool(story.truth),
        "followed": names[recorder.shown[place_followed(recorder.shown, story)]],
        "numbers": _numbers(story.image),
        "shown": len(recorder.shown),
        "scores": _scores(story.random, recorder, story, names),
        "random": story.random,
        "chance": 0.5 if run.several else 1 / len(names),
        "random_is_right": not run.several and int(story.random.scores.argmax()) in story.truth,
        "random_truth": truth_probability(story.random, story),
        "first_step": recorder.first_step,
        "moments": _moments(list(recorder.moments), names),
        "moments_figure": _moments_figure(list(recorder.moments), recorder, story, names),
    }


def place_followed(shown: tuple[int, ...], story: Story) -> int:
    """The place, among the shown classes, of the one whose score is explained: the label, if it is shown."""
    return next((shown.index(k) for k in story.truth if k in shown), 0)


def before_and_after(story: Story, followed: int, names: tuple[str, ...]) -> dict[str, Any]:
    """The probability of the label before and after training; of the followed class if there is no label."""
    k = story.truth[0] if story.truth else followed
    return {
        "name": names[k],
        "probabilities": (float(story.random.probabilities[k]), float(story.kept.probabilities[k])),
    }


def largest(products: np.ndarray) -> np.ndarray:
    """Places in the flat array of the products with the largest absolute value, the largest first."""
    sizes = np.abs(products).ravel()
    at_least = np.partition(sizes, -TERMS)[-TERMS] if sizes.size > TERMS else 0.0
    places = np.flatnonzero(sizes >= at_least)
    return places[np.argsort(-sizes[places], kind="stable")][:TERMS]


def truth_probability(seen: Look, story: Story) -> float:
    return float(seen.probabilities[list(story.truth)].mean()) if story.truth else 0.0


def _numbers(image: np.ndarray) -> dict[str, Any]:
    """A cut-out of the image's first channel, where the contrast is highest."""
    pixels = (image if image.ndim == 2 else image[..., 0]).astype(np.int64)
    contrast = (pixels - np.median(pixels)) ** 2 + 1e-9
    starts = []
    for axis in (0, 1):
        centre = np.average(np.arange(pixels.shape[axis]), weights=contrast.sum(axis=1 - axis))
        starts.append(int(np.clip(round(centre - NUMBERS_SIDE / 2), 0, max(0, pixels.shape[axis] - NUMBERS_SIDE))))
    part = pixels[starts[0] : starts[0] + NUMBERS_SIDE, starts[1] : starts[1] + NUMBERS_SIDE]
    return {
        "rows": part.tolist(),
        "top": starts[0] + 1,
        "left": starts[1] + 1,
        "whole": part.shape == pixels.shape,
    }


def _scores(seen: Look, recorder: Recorder, story: Story, names: tuple[str, ...]) -> list[dict[str, Any]]:
    shown = range(len(names)) if len(names) == 2 else recorder.shown
    return [
        {
            "name": names[k],
            "score": float(seen.scores[k]),
            "probability": float(seen.probabilities[k]),
            "true": k in story.truth,
            "answer": k == int(seen.scores.argmax()),
        }
        for k in shown
    ]


def _moments(moments: list[Moment], names: tuple[str, ...]) -> list[dict[str, Any]]:
    places = np.unique(np.linspace(0, len(moments) - 1, TABLED_MOMENTS).round().astype(int))
    return [
        {"epoch": moment.epoch, "answer": names[moment.answer], "truth": moment.truth, "loss": moment.loss}
        for moment in (moments[place] for place in places)
    ]


def _moments_figure(moments: list[Moment], recorder: Recorder, story: Story, names: tuple[str, ...]) -> str:
    """The label's probability over the epochs, and those of the other classes that reached the highest values."""
    others = [place for place, k in enumerate(recorder.shown) if k not in story.truth]
    shown = np.array([moment.probabilities for moment in moments])
    rivals = sorted(others, key=lambda place: -shown[:, place].max())[:RIVALS]
    lines = (
        [(short(", ".join(names[k] for k in story.truth)), [moment.truth for moment in moments])] if story.truth else []
    )
    lines += [(short(names[recorder.shown[place]]), shown[:, place].tolist()) for place in rivals]
    return curves_figure([moment.epoch for moment in moments], lines, percent=True)
