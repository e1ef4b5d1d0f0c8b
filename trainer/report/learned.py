"""The first half of the page, how the model learned, as values and pictures for the template to put between words."""

from typing import Any

import numpy as np
import torch

from vouch.trainer.report.figures import course_figure, curves_figure
from vouch.trainer.report.finished import Run
from vouch.trainer.report.looks import Look, averaged
from vouch.trainer.report.opposite import Opposite
from vouch.trainer.report.pictures import Tile, image_tile, weights_tile
from vouch.trainer.report.recorder import Moment, Recorder
from vouch.trainer.report.story import Story
from vouch.trainer.report.wording import short

TILE = 112
"""CSS pixels; five fit side by side."""
VARIANT = 96
"""Likewise; six do."""
NUMBERS_SIDE = 10
"""Pixels a side of the cut-out that is shown as numbers."""
TERMS = 6
"""Products that are written out before the sum."""
TABLED_MOMENTS = 12
RIVALS = 4


def learned(run: Run, recorder: Recorder, story: Story) -> dict[str, Any]:
    """What the template needs for the story."""
    names = run.splits.classes
    truth = ", ".join(names[k] for k in story.truth) or "none"
    followed = _followed(recorder.shown, story)
    return {
        "image": image_tile(story.image, f"the first training image, labelled {truth}", 168),
        "truth": truth,
        "followed": names[recorder.shown[followed]],
        "numbers": _numbers(story.image),
        "normalised": list(zip(story.mean.tolist(), story.scale.tolist(), strict=True)),
        "slopes": _slope_tiles(story.random, recorder, names, "random weights"),
        "kept_slopes": _slope_tiles(story.kept, recorder, names, "weights after training"),
        "product": _product(story, followed, names[recorder.shown[followed]]),
        "scores": _scores(story.random, recorder, story, names),
        "random": story.random,
        "chance": 0.5 if run.several else 1 / len(names),
        "random_is_right": not run.several and int(story.random.scores.argmax()) in story.truth,
        "random_truth": _truth_probability(story.random, story),
        "step": _step(story, recorder, names),
        "first_step": recorder.first_step,
        "moments": _moments(list(recorder.moments), names),
        "moments_figure": _moments_figure(list(recorder.moments), recorder, story, names),
        "layers": _layers(recorder, story, names),
        "opposite": _opposite(story.opposite, names),
        "variants": _variants(story),
    }


def _followed(shown: tuple[int, ...], story: Story) -> int:
    """The place, among the shown classes, of the one whose score is worked out: the label's, where it is shown."""
    return next((shown.index(k) for k in story.truth if k in shown), 0)


def _limit(weights: np.ndarray) -> float:
    """The weight that gets full colour: larger than nearly all, so that a few large ones do not make the rest pale."""
    return float(np.quantile(np.abs(weights), 0.995)) if weights.size else 0.0


def _numbers(image: np.ndarray) -> dict[str, Any]:
    """A cut-out of the image's first channel, where it has most to show."""
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


def _slope_tiles(seen: Look, recorder: Recorder, names: tuple[str, ...], what: str) -> list[Tile]:
    pictures = averaged(torch.from_numpy(seen.slopes))
    limit = _limit(pictures)
    return [
        weights_tile(picture, limit, f"{what} for {names[k]}", TILE, short(names[k]))
        for k, picture in zip(recorder.shown, pictures, strict=True)
    ]


def _product(story: Story, place: int, name: str) -> dict[str, Any]:
    """One score as a sum: the products with the largest effect, the rest together, and what is added."""
    slopes = story.random.slopes[place]
    products = slopes * story.pixels
    largest = _largest(products)
    terms = []
    for place_in_image in largest:
        channel, row, column = np.unravel_index(place_in_image, products.shape)
        pixel = story.image[row, column] if story.image.ndim == 2 else story.image[row, column, channel]
        terms.append(
            {
                "channel": int(channel),
                "row": int(row) + 1,
                "column": int(column) + 1,
                "pixel": int(pixel),
                "x": float(story.pixels[channel, row, column]),
                "slope": float(slopes[channel, row, column]),
                "product": float(products[channel, row, column]),
            }
        )
    weights, pictures = averaged(torch.from_numpy(np.stack([slopes, products])))
    remainder = float(story.random.remainders[place])
    return {
        "terms": terms,
        "others": products.size - len(terms),
        "others_sum": float(products.sum(dtype=np.float64)) - sum(term["product"] for term in terms),
        "remainder": remainder,
        "score": float(products.sum(dtype=np.float64)) + remainder,
        "image": image_tile(story.image, "the image, as it is", 112, "the image", "stays as it is"),
        "weights": weights_tile(
            weights,
            _limit(weights),
            f"weights for {name}",
            112,
            f"weights for {short(name)}",
            "random" if story.single_layer else "here and now",
        ),
        "products": weights_tile(pictures, _limit(pictures), "pixel times weight", 112, "the products", "new numbers"),
    }


def _largest(products: np.ndarray) -> np.ndarray:
    """Places in the flat array of those with the largest effect, the largest first."""
    sizes = np.abs(products).ravel()
    at_least = np.partition(sizes, -TERMS)[-TERMS] if sizes.size > TERMS else 0.0
    places = np.flatnonzero(sizes >= at_least)
    return places[np.argsort(-sizes[places], kind="stable")][:TERMS]


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


def _truth_probability(seen: Look, story: Story) -> float:
    return float(seen.probabilities[list(story.truth)].mean()) if story.truth else 0.0


def _step(story: Story, recorder: Recorder, names: tuple[str, ...]) -> dict[str, Any]:
    """Weights before, the step, weights after, for a few classes: the label's first, then those that moved most."""
    before, after = (averaged(torch.from_numpy(seen.slopes)) for seen in (story.random, story.step.after))
    moved = after - before
    limit, moved_limit = _limit(np.concatenate([before, after])), _limit(moved)
    place = _followed(recorder.shown, story)
    order = [place, *[i for i in np.argsort(-np.abs(moved).max(axis=(1, 2)), kind="stable") if i != place]][:3]
    rows = []
    for i in order:
        k = recorder.shown[i]
        rows.append(
            {
                "name": names[k],
                "true": k in story.truth,
                "before": weights_tile(before[i], limit, f"weights for {names[k]} before the step", 88),
                "moved": weights_tile(moved[i], moved_limit, f"the step of the weights for {names[k]}", 88),
                "after": weights_tile(after[i], limit, f"weights for {names[k]} after the step", 88),
                "scores": (float(story.random.scores[k]), float(story.step.after.scores[k])),
                "probabilities": (float(story.random.probabilities[k]), float(story.step.after.probabilities[k])),
            }
        )
    return {
        "rate": story.step.rate,
        "rows": rows,
        "stronger": limit / moved_limit if moved_limit else 0.0,
        "loss": (story.random.loss, story.step.after.loss),
        "truth": (_truth_probability(story.random, story), _truth_probability(story.step.after, story)),
    }


def _moments(moments: list[Moment], names: tuple[str, ...]) -> list[dict[str, Any]]:
    places = np.unique(np.linspace(0, len(moments) - 1, TABLED_MOMENTS).round().astype(int))
    return [
        {"epoch": moment.epoch, "answer": names[moment.answer], "truth": moment.truth, "loss": moment.loss}
        for moment in (moments[place] for place in places)
    ]


def _moments_figure(moments: list[Moment], recorder: Recorder, story: Story, names: tuple[str, ...]) -> str:
    """The label's probability over the epochs, and those of the classes that were ever most in its way."""
    others = [place for place, k in enumerate(recorder.shown) if k not in story.truth]
    shown = np.array([moment.probabilities for moment in moments])
    rivals = sorted(others, key=lambda place: -shown[:, place].max())[:RIVALS]
    lines = (
        [(short(", ".join(names[k] for k in story.truth)), [moment.truth for moment in moments])] if story.truth else []
    )
    lines += [(short(names[recorder.shown[place]]), shown[:, place].tolist()) for place in rivals]
    return curves_figure("followed", [moment.epoch for moment in moments], lines, percent=True)


def _layers(recorder: Recorder, story: Story, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The first layer's pictures, one strip an epoch."""
    rows = [(epoch, pictures.numpy()) for epoch, pictures in recorder.pictured]
    count, height, width = rows[0][1].shape
    if count == 0:
        return None
    several = story.single_layer and count > 1
    captions = (
        [f"weights for {names[k]}" for k in recorder.shown] if story.single_layer else ["first-layer weights"] * count
    )
    strips = [
        {
            "epoch": epoch,
            "pictures": [
                weights_tile(picture, _limit(pictures), f"{caption}, epoch {epoch}", TILE)
                for picture, caption in zip(pictures, captions, strict=True)
            ],
        }
        for epoch, pictures in rows
    ]
    return {
        "strips": strips,
        "names": [names[k] for k in recorder.shown] if several else [],
        "count": count,
        "size": f"{height} x {width}",
    }


def _opposite(experiment: Opposite, names: tuple[str, ...]) -> dict[str, Any]:
    tiles = [
        image_tile(
            frame.image,
            f"the image after {frame.change} changes",
            TILE,
            f"after {frame.change}" if frame.change else "blank",
            f"{frame.probability:.1%}",
        )
        for frame in experiment.frames
    ]
    last = experiment.frames[-1]
    return {
        "wanted": names[experiment.wanted],
        "frames": tiles,
        "large": image_tile(last.image, "what the blank image became", TILE, "what it became"),
        "bright": image_tile(_brightened(last.image), "the same, brightened", TILE, "the same, brightened"),
        "first_answer": names[experiment.frames[0].answer],
        "last": last.probability,
        "changes": last.change,
        "called_after": experiment.called_after,
        "gave_up": last.change >= experiment.most,
        "largest_change": round(experiment.largest),
        "sure": experiment.sure,
        "figure": course_figure("opposite", experiment.course),
    }


def _brightened(image: np.ndarray) -> np.ndarray:
    return np.round(image * (255 / max(1, int(image.max())))).astype(np.uint8)


def _variants(story: Story) -> list[Tile]:
    if story.variants is None:
        return []
    return [image_tile(variant, "a variant of it", VARIANT) for variant in story.variants]
