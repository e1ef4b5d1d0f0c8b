"""How a linear layer on a frozen backbone learned, with features in place of pixels, as values for the template.

Weights of features cannot be shown as a picture, unlike weights of pixels. Maps show where in the image they count.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.activation import Places, places_of
from vouch.trainer.report.covered import CoveredImage, cover
from vouch.trainer.report.finished import Run
from vouch.trainer.report.followed import before_and_after, common, largest, place_followed, truth_probability
from vouch.trainer.report.looks import Look
from vouch.trainer.report.pictures import MappedTile, Tile, image_tile, mapped_tile
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import Story
from vouch.trainer.report.wording import share, short

SHOWN_MAPS = 4
STEP_ROWS = 3
SIDE = 132
"""CSS pixels of an image with its map."""


def learned_frozen(run: Run, recorder: Recorder, story: Story) -> dict[str, Any]:
    """What the template needs for the story; arguments as `learned`."""
    classifier = run.classifier
    assert isinstance(classifier, FrozenClassifier)
    names, place = run.splits.classes, place_followed(recorder.shown, story)
    found = places_of(classifier, story.image[None])
    return {
        **common(run, recorder, story),
        "backbone": classifier.backbone.facts,
        "sums": [
            {"when": "random weights", **_sum(_Features.of(story), story.random, place)},
            {"when": "weights after training", **_sum(_Features.of(story, classifier), story.kept, place)},
        ],
        "step": _step(story, recorder, names),
        "maps": _maps(found, story, recorder, names),
        "map_sum": _map_sum(found, recorder.shown[place]),
        "versus": _versus(story, recorder.shown[place], names),
        "opposite": _opposite(classifier, story, found, names),
        "kept": story.kept,
    }


@dataclass(frozen=True, eq=False)
class _Features:
    """The features of the first image; all of shape (D,)."""

    x: np.ndarray
    """Scaled like the layer's input."""
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, story: Story, kept: FrozenClassifier | None = None) -> "_Features":
        """The features at the start, or those of the kept classifier, which differ if its backbone was fine-tuned."""
        if kept is None:
            return cls(story.pixels, story.mean, story.scale)
        x = kept.normalised(torch.from_numpy(story.image[None]))[0]
        return cls(x.numpy(), kept.mean.numpy(), kept.scale.numpy())


def _sum(features: _Features, seen: Look, place: int) -> dict[str, Any]:
    """One score as a sum: the largest products, the sum of the others, and the bias.

    Args:
        place: of the class among the shown ones.
    """
    weights, bias = seen.slopes[place], float(seen.remainders[place])
    products = weights * features.x
    terms = [
        {
            "feature": int(d) + 1,
            "value": float(features.x[d] * features.scale[d] + features.mean[d]),
            "x": float(features.x[d]),
            "weight": float(weights[d]),
            "product": float(products[d]),
        }
        for d in largest(products)
    ]
    total = float(products.sum(dtype=np.float64))
    return {
        "terms": terms,
        "others": products.size - len(terms),
        "others_sum": total - sum(term["product"] for term in terms),
        "bias": bias,
        "score": total + bias,
    }


def _step(story: Story, recorder: Recorder, names: tuple[str, ...]) -> dict[str, Any]:
    """Scores before and after the step: first those of the label, then of the classes that changed most."""
    before, after = story.random, story.step.after
    moved = np.abs(after.scores - before.scores)[list(recorder.shown)]
    place = place_followed(recorder.shown, story)
    order = [place, *[i for i in np.argsort(-moved, kind="stable") if i != place]][:STEP_ROWS]
    return {
        "rate": story.step.rate,
        "rows": [
            {
                "name": names[k],
                "true": k in story.truth,
                "scores": (float(before.scores[k]), float(after.scores[k])),
                "probabilities": (float(before.probabilities[k]), float(after.probabilities[k])),
            }
            for k in (recorder.shown[i] for i in order)
        ],
        "loss": (before.loss, after.loss),
        "truth": (truth_probability(before, story), truth_probability(after, story)),
    }


def _maps(found: Places | None, story: Story, recorder: Recorder, names: tuple[str, ...]) -> list[MappedTile]:
    """Where in the first image the scores of a few classes came from, the label's first."""
    if found is None:
        return []
    others = sorted(recorder.shown, key=lambda k: -float(story.kept.scores[k]))
    classes = list(dict.fromkeys((*[k for k in story.truth if k in recorder.shown], *others)))[:SHOWN_MAPS]
    parts = [found.parts(0, k) for k in classes]
    limit = max(float(np.abs(part).max()) for part in parts)
    return [
        mapped_tile(
            story.image, part, limit, SIDE, (f"for {short(names[k])}", share(float(story.kept.probabilities[k]), 1))
        )
        for k, part in zip(classes, parts, strict=True)
    ]


def _map_sum(found: Places | None, k: int) -> dict[str, float] | None:
    """The parts of the followed class's score, added up."""
    if found is None:
        return None
    parts = found.parts(0, k)
    return {"places": parts.size, "sum": float(parts.sum(dtype=np.float64)), "bias": found.bias(k)}


def _opposite(
    classifier: FrozenClassifier, story: Story, found: Places | None, names: tuple[str, ...]
) -> dict[str, Any] | None:
    """The first image with more and more of it covered."""
    if found is None:
        return None
    made = cover(classifier, story.image, story.kept.probabilities, found)
    first, last = made.frames[0], made.frames[-1]
    return {
        "wanted": names[made.k],
        "frames": [_covered_tile(frame, made.all_places) for frame in made.frames],
        "elsewhere": _covered_tile(made.elsewhere, made.all_places),
        "first": first.probability,
        "last": last.probability,
        "covered": last.places,
        "all_places": made.all_places,
        "turned": not last.called,
        "still_elsewhere": made.elsewhere.called,
    }


def _versus(story: Story, followed: int, names: tuple[str, ...]) -> dict[str, Any]:
    """The same image twice: only the weights change."""
    before, after = (
        image_tile(story.image, f"the image {when} training", SIDE, f"{when} training", note)
        for when, note in (("before", "the image"), ("after", "the same image"))
    )
    return {"before": before, "after": after, **before_and_after(story, followed, names)}


def _covered_tile(frame: CoveredImage, all_places: int) -> Tile:
    words = f"{frame.places} of {all_places} covered" if frame.places else "the whole image"
    return image_tile(frame.image, words, SIDE, words, share(frame.probability, 1))
