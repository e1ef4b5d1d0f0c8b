"""How a linear layer on a frozen backbone learned: features in place of pixels, as values for the template.

What a picture of weights says of pixels it cannot say of features; where they come from in the image is said instead.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.activation import Places, places_of
from vouch.trainer.report.finished import Run
from vouch.trainer.report.followed import common, largest, place_followed, truth_probability
from vouch.trainer.report.looks import Look
from vouch.trainer.report.pictures import MappedTile, mapped_tile
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
    k = recorder.shown[place]
    return {
        **common(run, recorder, story),
        "backbone": classifier.backbone.facts,
        "sums": [
            {"when": "random weights", **_sum(_Features.of(story), story.random, place)},
            {"when": "weights after training", **_sum(_Features.of(story, classifier), story.kept, place)},
        ],
        "step": _step(story, recorder, names),
        "maps": _maps(classifier, story, recorder, names),
        "map_sum": _map_sum(classifier, story, k),
        "kept": story.kept,
    }


@dataclass(frozen=True, eq=False)
class _Features:
    """Those of the first image; all of shape (D,)."""

    x: np.ndarray
    """On the scale that the weights are for."""
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, story: Story, kept: FrozenClassifier | None = None) -> "_Features":
        """As they were at first; of the kept classifier they are others where its backbone was tuned."""
        if kept is None:
            return cls(story.pixels, story.mean, story.scale)
        x = kept.normalised(torch.from_numpy(story.image[None]))[0]
        return cls(x.numpy(), kept.mean.numpy(), kept.scale.numpy())


def _sum(features: _Features, seen: Look, place: int) -> dict[str, Any]:
    """One score as a sum: the products with the largest effect, the rest together, and the bias.

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
    """Scores before and after the step, of the label first, then of the classes that moved most."""
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


def _maps(classifier: FrozenClassifier, story: Story, recorder: Recorder, names: tuple[str, ...]) -> list[MappedTile]:
    """Where in the first image the scores of a few classes came from, the label's first."""
    found = places_of(classifier, story.image[None])
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


def _map_sum(classifier: FrozenClassifier, story: Story, k: int) -> dict[str, float] | None:
    """The parts of the followed class's score, added up."""
    found: Places | None = places_of(classifier, story.image[None])
    if found is None:
        return None
    parts = found.parts(0, k)
    return {"places": parts.size, "sum": float(parts.sum(dtype=np.float64)), "bias": found.bias(k)}
