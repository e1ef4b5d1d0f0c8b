"""The three sentences of advice for a finished run."""

from dataclasses import dataclass
from math import isnan

from vouch.bundle.accuracy import Accuracy
from vouch.bundle.multi_label import decide
from vouch.sources.examples import images_of_each
from vouch.trainer.judge.doubtful import Doubt
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.presets import FEW_PHOTOS
from vouch.trainer.report.advice import (
    Ability,
    ClassFound,
    Contradicted,
    images_or_model,
    labels_to_look_at,
    more_images,
)
from vouch.trainer.report.finished import Run
from vouch.trainer.report.outcome import ClassScore, class_scores, label_scores
from vouch.trainer.report.wording import share, short

MAX_FILE = 200
"""Characters of a file's path."""

BIGGER = {
    ("linear", False): "--model cnn",
    ("linear", True): "--backbone lite0",
    ("mlp", False): "--model cnn",
    ("mlp", True): "--backbone lite0",
    ("cnn", False): "--preset best",
    ("cnn", True): "--backbone lite0",
}
"""By kind, and whether the images are photographs."""


@dataclass(frozen=True)
class NextSteps:
    """One sentence each."""

    images: str
    """Which class needs more images."""
    labels: str
    """Which labels to check; it may name a file."""
    model: str
    """Whether more images or a bigger model would help."""

    @property
    def sentences(self) -> tuple[str, str, str]:
        """All three, without full stops."""
        return self.images, self.labels, self.model


def next_steps(run: Run) -> NextSteps:
    """The advice for a finished run."""
    names = run.splits.classes
    learned = images_of_each(run.splits.fit.labels, len(names)).tolist()
    found = [
        ClassFound(name, Accuracy(correct=score.right, total=score.images), images)
        for name, score, images in zip(names, scores_of(run), learned, strict=True)
    ]
    seen = run.hindsight
    first = in_words(run, seen.doubts[0]) if seen.doubts else None
    kept = run.fitted.best
    return NextSteps(
        more_images(found, "label" if run.several else "class"),
        labels_to_look_at(Contradicted(seen.sure, seen.contradicted, first, seen.reason, seen.by_model)),
        images_or_model(
            Ability(
                None if isnan(kept.fit_accuracy) else kept.fit_accuracy,
                run.claim,
                bigger(run),
                seen.curve,
                seen.judge,
                backbone(run),
            )
        ),
    )


def scores_of(run: Run) -> list[ClassScore]:
    """The score of each class or label on validation."""
    labels, probabilities, classes = run.splits.validation.labels, run.exam.probabilities, len(run.splits.classes)
    if run.exam.thresholds:
        return label_scores(labels, decide(probabilities, run.exam.thresholds))
    return class_scores(labels, probabilities.argmax(axis=1), classes)


def in_words(run: Run, doubt: Doubt) -> str:
    """The doubted label, such as `ants/7.jpg (labelled ants, answered bees with 99.0%)`."""
    given, answer = labels_of(run, doubt)
    name = short(run.splits.by_name[doubt.part].names[doubt.row], MAX_FILE)
    return f"{name} (labelled {short(given)}, answered {short(answer)} with {share(doubt.probability, 1)})"


def labels_of(run: Run, doubt: Doubt) -> tuple[str, str]:
    """The label and the answer in words; multi-label: `bird` and `not bird`."""
    names = run.splits.classes
    if not run.several:
        return names[doubt.label], names[doubt.answer]
    both = names[doubt.label], f"not {names[doubt.label]}"
    return both if doubt.present else (both[1], both[0])


def bigger(run: Run) -> str | None:
    """The flags for a bigger model than this one; None if there is none."""
    if isinstance(run.classifier, FrozenClassifier):
        facts = run.classifier.backbone.facts
        can_be_tuned = facts.name == "lite0" and not facts.fine_tuned
        return "--fine-tune or another --backbone" if can_be_tuned else "another --backbone"
    if run.recipe.preset == "best":
        return None
    return BIGGER.get((run.training.model or "", run.recipe.preset == "photos"))


def backbone(run: Run) -> str | None:
    """The flag for a backbone, if Vouch would choose one for so few photographs but none was used."""
    few = len(run.splits.fit) < FEW_PHOTOS and run.recipe.preset == "photos"
    return "--backbone lite0" if few and not isinstance(run.classifier, FrozenClassifier) else None
