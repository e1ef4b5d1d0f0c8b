"""The sections of the page in their order, numbered through; those that a run has nothing for are left out."""

import itertools

from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.report.finished import Run
from vouch.trainer.report.story import Story

FROZEN = {
    "image": "A thing and its label",
    "backbone": "The backbone",
    "weights": "Random weights",
    "scores": "Multiply, add up: scores",
    "loss": "How wrong: the loss",
    "step": "One step",
    "epochs": "The same image, epoch after epoch",
    "places": "What speaks for it, and where",
    "try": "Change one weight yourself",
    "digests": "What changed, and what did not",
}
LEARNED = {
    "image": "A thing and its label",
    "weights": "Random weights",
    "scores": "Multiply, add up: scores",
    "loss": "How wrong: the loss",
    "step": "One step",
    "epochs": "The same image, epoch after epoch",
    "layers": "The weights, epoch after epoch",
    "try": "Change one weight yourself",
    "digests": "What changed, and what did not",
    "opposite": "The opposite experiment",
    "variants": "New images from old ones",
}
MEASURED = {
    "curves": "Curves",
    "validation": "Validation accuracy",
    "confusion": "What is taken for what",
    "mistakes": "The worst mistakes",
    "where": "Where it looks",
    "doubts": "Likely label errors",
    "classes": "Class by class",
    "certainty": "Do probabilities mean what they say?",
    "next": "What to do next",
    "agreement": "The same answers where it is served",
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
