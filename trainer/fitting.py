"""The fit with what a person sees of it: a progress bar, a line for some epochs, and what came of it."""

import numpy as np

from vouch.bundle.training import Recipe
from vouch.cli.console import progress_bar, say
from vouch.trainer.errors import TrainError
from vouch.trainer.fitting_head import fit_head_and_tell
from vouch.trainer.learn.checkpoint import Checkpoint, Stateful
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.fine_tune import changes_the_backbone, continued, fine_tune
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import Processes
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits


def fit_and_tell(
    classifier: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    recorder: Recorder,
    checkpoint: Checkpoint,
) -> Fitted:
    """Fits the classifier; the recorder is told of every step.

    Raises:
        TrainError: as `fit` does, or no epoch was better than the random weights.
    """
    if isinstance(classifier, FrozenClassifier):
        fitted = fit_head_and_tell(classifier, splits, recipe, recorder, checkpoint)
    else:
        fitted = _fit_network(classifier, splits, recipe, processes, recorder, checkpoint)
    commonest = np.unique(splits.tune.labels, axis=0, return_counts=True)[1].max() / len(splits.tune)
    say(
        f"tune accuracy: {fitted.epochs[0].tune_accuracy:.2%} with random weights, "
        f"{commonest:.2%} by always answering the commonest, "
        f"{fitted.best.tune_accuracy:.2%} {_after(classifier, fitted)}, "
        f"in {fitted.seconds:.1f} s on {processes.device.type}, {recipe.threads} thread{'s' * (recipe.threads > 1)}"
    )
    if fitted.best.number == 0:
        if processes.leads:
            checkpoint.remove()
        raise TrainError(
            "no epoch was better on tune than the random weights before training, so nothing is published: try a lower "
            "--learning-rate, more epochs or more images, and look at the labels"
        )
    if isinstance(classifier, FrozenClassifier) and changes_the_backbone(recipe):
        return continued(fitted, _fine_tune_and_tell(classifier, splits, recipe, processes, checkpoint))
    return fitted


def _after(classifier: Classifier, fitted: Fitted) -> str:
    if isinstance(classifier, FrozenClassifier):
        return "with the head on the backbone"  # whose iterations are no epochs
    return f"after epoch {fitted.best.number}"


def _fine_tune_and_tell(
    classifier: FrozenClassifier, splits: Splits, recipe: Recipe, processes: Processes, checkpoint: Checkpoint
) -> Fitted:
    with progress_bar(f"fine-tuning for {_epochs(recipe)}", None) as show:

        def on_step(step: Step) -> None:
            show(step.number, step.of)
            if step.epoch:
                if step.epoch.note:
                    say(step.epoch.note)
                said = f"{step.epoch.tune_loss_calibrated:.4f} at its best temperature"  # by which epochs are chosen
                say(
                    f"fine-tuning, epoch {step.epoch.number}: tune loss {said}, accuracy {step.epoch.tune_accuracy:.2%}"
                )

        fitted = fine_tune(classifier, splits, recipe, processes, on_step, checkpoint)
    found = f"epoch {fitted.best.number} is kept"
    if fitted.best.number == 0:
        found = "no epoch was better on tune than the head on the backbone as it was, so that is kept"
    say(f"fine-tuned in {fitted.seconds:.1f} s: {found}")
    return fitted


def _fit_network(
    classifier: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    recorder: Recorder,
    checkpoint: Checkpoint,
) -> Fitted:
    """From scratch; arguments as `fit_and_tell`."""
    with progress_bar(f"fitting for {_about_epochs(recipe)}", None) as show:

        def on_step(step: Step) -> None:
            show(step.number, step.of)
            recorder(step)
            epoch = step.epoch
            if epoch and epoch.note:
                say(epoch.note)
            if epoch and epoch.number and (epoch.number % -(-recipe.epochs // 10) == 0 or epoch.number == 1):
                say(f"epoch {epoch.number:>3}: loss {epoch.fit_loss:.4f}, tune accuracy {epoch.tune_accuracy:.2%}")

        return fit(classifier, splits, recipe, processes, on_step, checkpoint)


def _about_epochs(recipe: Recipe) -> str:
    """How many there may be: a fit ends early where little is left to learn, and late where the images are hard."""
    if recipe.hard_epochs > recipe.epochs:
        return f"{recipe.epochs} epochs, or {recipe.hard_epochs} if the images are hard"
    return f"at most {_epochs(recipe)}" if recipe.enough else _epochs(recipe)


def _epochs(recipe: Recipe) -> str:
    return f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)}"


def kept_parts(classifier: Classifier, recorder: Recorder) -> dict[str, Stateful]:
    """What a checkpoint keeps beside the state of the fit."""
    features: dict[str, Stateful] = {"features": classifier.made} if isinstance(classifier, FrozenClassifier) else {}
    return {"report": recorder, **features}
