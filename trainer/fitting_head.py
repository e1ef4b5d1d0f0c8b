"""The fit of a head on a backbone, with what a person sees of it; and going on from there, where that was asked for."""

import time
from dataclasses import replace

from vouch.bundle.training import Recipe
from vouch.cli.console import progress_bar, say
from vouch.cli.stopping import postponing
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.fine_tune import fine_tune, fine_tuning
from vouch.trainer.learn.frozen import Asked, FrozenClassifier
from vouch.trainer.learn.head import check_can_fit, fit_head, wanted_features
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.processes import Processes
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import Splits


def fit_head_and_tell(
    classifier: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    recorder: Recorder,
    checkpoint: Checkpoint,
) -> Fitted:
    """Features, then the head; what of the features is done is kept. Raises TrainError as `fit_head` does."""
    check_can_fit(recipe, processes)
    began = time.perf_counter()
    _collect(classifier, wanted_features(splits, recipe), checkpoint)
    fitted = fit_head(classifier, splits, recipe, processes, recorder)
    head = fitted.head
    assert head is not None
    found = f", by {head.folds} folds, of which {head.accuracy:.2%} are answered right" if head.folds else ""
    say(f"head: fitted in {len(fitted.epochs) - 1} iterations with a penalty of {head.penalty:.2g}{found}")
    return replace(fitted, seconds=time.perf_counter() - began)


def _collect(classifier: FrozenClassifier, wanted: tuple[Asked, ...], checkpoint: Checkpoint) -> None:
    """The backbone's part, which takes longest."""
    facts, total, made = classifier.backbone.facts, sum(len(one.examples) for one in wanted), False
    with progress_bar(f"features: {facts.features:,} numbers an image, by {facts.name}", total) as show:
        checkpoint.resume_part("features")
        with postponing() as interrupt:

            def reached(done: int) -> None:
                nonlocal made
                made = True
                show(done)
                if interrupt() or checkpoint.due():
                    checkpoint.save({}, f"the features of {done:,} of {total:,} images")
                if wish := interrupt():
                    raise wish

            classifier.made.collect(wanted, reached)
    if made:
        checkpoint.save({}, f"the features of all {total:,} images")


def tuning_for(settings: TrainSettings, recipe: Recipe, shape: tuple[int, ...]) -> Recipe:
    """How the backbone itself is changed: variants as photographs from scratch have them.

    Args:
        recipe: of the head.
        shape: of the fit images.
    """
    photos = recipe_for(settings.asked_of("photos", "cnn", doubtful=True), shape)
    return fine_tuning(recipe, photos.augment, settings.epochs, settings.learning_rate)


def fine_tune_and_tell(
    classifier: FrozenClassifier,
    head: Fitted,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    checkpoint: Checkpoint,
) -> tuple[FrozenClassifier, Fitted]:
    """Goes on from a head that was fitted: a classifier on a changed backbone, or the same where that was no better.

    Args:
        head: how that went; the epochs are counted on from its.
        recipe: as `tuning_for` gives it.
    """
    steps = recipe.epochs * -(-len(splits.fit) // recipe.batch_size)
    with progress_bar(f"fine-tuning for {recipe.epochs} epochs", steps) as show:

        def on_step(step: Step) -> None:
            show(step.number)
            if step.epoch and step.epoch.number:
                say(
                    f"epoch {step.epoch.number:>3}: loss {step.epoch.fit_loss:.4f}, "
                    f"tune accuracy {step.epoch.tune_accuracy:.2%}"
                )

        tuned, fitted = fine_tune(classifier, splits, recipe, processes, on_step, checkpoint)
    last = head.epochs[-1].number
    epochs = [*head.epochs, *(replace(epoch, number=last + epoch.number) for epoch in fitted.epochs[1:])]
    say(
        f"fine-tuning: epoch {fitted.best.number} is kept, {fitted.best.tune_accuracy:.2%} of tune right"
        if fitted.best.number
        else "fine-tuning: no epoch was better on tune than the frozen backbone, which is kept"
    )
    return tuned, replace(
        head,
        epochs=tuple(epochs),
        best=epochs[last + fitted.best.number],
        seconds=head.seconds + fitted.seconds,
        backbone=tuned.backbone.facts,
    )
