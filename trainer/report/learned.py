"""The first half of the page, how the model learned, as values and pictures for the template."""

from typing import Any

import numpy as np
import torch

from vouch.trainer.report.figures import course_figure
from vouch.trainer.report.finished import Run
from vouch.trainer.report.followed import (
    before_and_after,
    common,
    largest,
    place_followed,
    truth_probability,
)
from vouch.trainer.report.looks import Look, averaged
from vouch.trainer.report.opposite import Opposite
from vouch.trainer.report.pictures import Tile, image_tile, weights_tile
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import Story
from vouch.trainer.report.wording import short

TILE = 112
"""CSS pixels; five fit side by side."""
VARIANT = 96
"""CSS pixels; six fit side by side."""


def learned(run: Run, recorder: Recorder, story: Story) -> dict[str, Any]:
    """What the template needs for the story."""
    names = run.splits.classes
    place = place_followed(recorder.shown, story)
    return {
        **common(run, recorder, story),
        "normalised": list(zip(story.mean.tolist(), story.scale.tolist(), strict=True)),
        "slopes": _slope_tiles(story.random, recorder, names, "random weights"),
        "kept_slopes": _slope_tiles(story.kept, recorder, names, "weights after training"),
        "product": _product(story, place, names[recorder.shown[place]]),
        "step": _step(story, recorder, names),
        "layers": _layers(recorder, story, names),
        "opposite": _opposite(story.opposite, names),
        "versus": _versus(story, recorder, names),
        "variants": _variants(story),
    }


def _limit(weights: np.ndarray) -> float:
    """The weight that gets full colour: a high quantile, so that a few large weights do not make the others pale."""
    return float(np.quantile(np.abs(weights), 0.995)) if weights.size else 0.0


def _slope_tiles(seen: Look, recorder: Recorder, names: tuple[str, ...], what: str) -> list[Tile]:
    pictures = averaged(torch.from_numpy(seen.slopes))
    limit = _limit(pictures)
    return [
        weights_tile(picture, limit, f"{what} for {names[k]}", TILE, short(names[k]))
        for k, picture in zip(recorder.shown, pictures, strict=True)
    ]


def _versus(story: Story, recorder: Recorder, names: tuple[str, ...]) -> dict[str, Any]:
    """The followed class's weights before and after training."""
    place = place_followed(recorder.shown, story)
    what = f"weights for {names[recorder.shown[place]]}"
    pictures = averaged(torch.from_numpy(np.stack([seen.slopes[place] for seen in (story.random, story.kept)])))
    before, after = (
        weights_tile(picture, _limit(picture), f"{what} {when} training", TILE, short(what), f"{when} training")
        for picture, when in zip(pictures, ("before", "after"), strict=True)
    )
    return {"before": before, "after": after, **before_and_after(story, recorder.shown[place], names)}


def _product(story: Story, place: int, name: str) -> dict[str, Any]:
    """One score as a sum: the largest products, the sum of the others, and the remainder."""
    slopes = story.random.slopes[place]
    products = slopes * story.pixels
    terms = []
    for place_in_image in largest(products):
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


def _step(story: Story, recorder: Recorder, names: tuple[str, ...]) -> dict[str, Any]:
    """Weights before, the step, weights after, for a few classes: the label first, then those that changed most."""
    before, after = (averaged(torch.from_numpy(seen.slopes)) for seen in (story.random, story.step.after))
    moved = after - before
    limit, moved_limit = _limit(np.concatenate([before, after])), _limit(moved)
    place = place_followed(recorder.shown, story)
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
        "truth": (truth_probability(story.random, story), truth_probability(story.step.after, story)),
    }


def _layers(recorder: Recorder, story: Story, names: tuple[str, ...]) -> dict[str, Any] | None:
    """The first layer's pictures, one strip per epoch."""
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


def _opposite(experiment: Opposite | None, names: tuple[str, ...]) -> dict[str, Any]:
    assert experiment is not None, "a backbone has another experiment"
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
        "first": experiment.frames[0].probability,
        "last": last.probability,
        "changes": last.change,
        "called_after": experiment.called_after,
        "gave_up": last.change >= experiment.most,
        "largest_change": round(experiment.largest),
        "sure": experiment.sure,
        "figure": course_figure(experiment.course),
    }


def _brightened(image: np.ndarray) -> np.ndarray:
    return np.round(image * (255 / max(1, int(image.max())))).astype(np.uint8)


def _variants(story: Story) -> list[Tile]:
    if story.variants is None:
        return []
    return [image_tile(variant, "a variant of it", VARIANT) for variant in story.variants]
