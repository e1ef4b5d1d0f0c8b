"""The numbered sections of the page in their order; sections without content for a run are left out."""

import itertools

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.finished import Run
from vouch.trainer.report.story import Story

FROZEN = {
    "image": "An image and its label",
    "backbone": "The backbone",
    "weights": "Random weights",
    "scores": "Scores: multiply and add up",
    "loss": "The loss: how wrong is the answer?",
    "step": "One training step",
    "epochs": "The same image, epoch after epoch",
    "places": "What counts for the answer, and where",
    "try": "Change one weight yourself",
    "digests": "What changed, and what did not",
    "opposite": "The opposite experiment",
}
LEARNED = {
    "image": "An image and its label",
    "weights": "Random weights",
    "scores": "Scores: multiply and add up",
    "loss": "The loss: how wrong is the answer?",
    "step": "One training step",
    "epochs": "The same image, epoch after epoch",
    "layers": "The weights, epoch after epoch",
    "try": "Change one weight yourself",
    "digests": "What changed, and what did not",
    "opposite": "The opposite experiment",
    "variants": "New images from old ones",
}
MEASURED = {
    "curves": "Training curves",
    "validation": "Validation accuracy",
    "confusion": "Which classes are confused",
    "mistakes": "The worst mistakes",
    "where": "Where the model looks",
    "doubts": "Likely label errors",
    "classes": "Results for each class",
    "certainty": "Calibration: are the probabilities right?",
    "next": "What to do next",
    "agreement": "Does the exported model give the same answers?",
    "settings": "Settings and versions",
}


def contents(story: Story, run: Run, mapped: bool) -> list[tuple[str, list[dict[str, str]]]]:
    """The parts of the page with their sections' keys and titles.

    Args:
        mapped: whether there are maps of where scores came from.
    """
    there = {"variants": story.variants is not None, "confusion": not run.several, "where": mapped}
    learned = FROZEN if isinstance(run.classifier, FrozenClassifier) else LEARNED
    numbers = itertools.count(1)
    return [
        (
            part,
            [
                {"key": key, "title": f"{next(numbers)}. {title}"}
                for key, title in titles.items()
                if there.get(key, True)
            ],
        )
        for part, titles in (("How it learned", learned), ("How good it is", MEASURED))
    ]
