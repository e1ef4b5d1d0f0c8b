"""The fit and its output: a progress bar, a line for some epochs, and the result."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import isnan

import torch

from vouch.bundle.training import Recipe
from vouch.cli.console import progress_bar, say
from vouch.trainer.fitting_head import fit_head_and_tell
from vouch.trainer.learn.beside import beside
from vouch.trainer.learn.checkpoint import Checkpoint, Stateful
from vouch.trainer.learn.course import Epoch, Fitted, Step
from vouch.trainer.learn.fine_tune import changes_the_backbone, continued, fine_tune
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.hard import commonest_share
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import right_answers
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.out_of_fold import can_be_fitted_beside, fit_folds
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
    """Fits the classifier and prints progress; the recorder receives every step.

    Raises:
        TrainError: the same errors as `fit`.
    """
    if isinstance(classifier, FrozenClassifier):
        fitted = fit_head_and_tell(classifier, splits, recipe, recorder, checkpoint)
    else:
        fitted = _fit_and_judge(classifier, splits, recipe, processes, recorder, checkpoint)
    say(
        f"fitted in {fitted.seconds:.1f} s on {processes.device.type}, {recipe.threads} "
        f"thread{'s' * (recipe.threads > 1)}, in {recipe.precision}: {_right(splits, fitted)}"
    )
    if isinstance(classifier, FrozenClassifier) and changes_the_backbone(recipe):
        last = fitted.epochs[-1].number

        def on_epoch(epoch: Epoch) -> None:  # numbered as in `continued`
            recorder.on_epoch(replace(epoch, number=last + epoch.number))

        return continued(fitted, _fine_tune_and_tell(classifier, splits, recipe, processes, on_epoch, checkpoint))
    return fitted


def _right(splits: Splits, fitted: Fitted) -> str:
    """Accuracy on images that were not learned, with a baseline."""
    if len(splits.tune):
        commonest = commonest_share(splits.tune.labels)
        return (
            f"tune accuracy {fitted.best.tune_accuracy:.2%}; with random weights "
            f"{fitted.epochs[0].tune_accuracy:.2%}; baseline (always the most common answer): {commonest:.2%}"
        )
    if not fitted.folds:
        return "accuracy unknown before validation: too few different images for cross-validation"
    right = sum(right_answers(fold.logits, torch.from_numpy(fold.labels)) for fold in fitted.folds)
    commonest = commonest_share(splits.fit.labels)
    return (
        f"cross-validated accuracy {right / len(splits.fit):.2%} on {len(splits.fit):,} images "
        f"({len(fitted.folds)} folds); baseline (always the most common answer): {commonest:.2%}"
    )


def _fine_tune_and_tell(
    classifier: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    on_epoch: Callable[[Epoch], None],
    checkpoint: Checkpoint,
) -> Fitted:
    with progress_bar(f"fine-tuning for {_epochs(recipe)}", None) as show:

        def on_step(step: Step) -> None:
            show(step.number, step.of)
            if step.epoch:
                if step.epoch.note:
                    say(step.epoch.note)
                said = f"{step.epoch.tune_loss_calibrated:.4f} at the best temperature"
                say(
                    f"fine-tuning, epoch {step.epoch.number}: tune loss {said}, accuracy {step.epoch.tune_accuracy:.2%}"
                )
                if step.epoch.number:
                    on_epoch(step.epoch)

        fitted = fine_tune(classifier, splits, recipe, processes, on_step, checkpoint)
    found = f"epoch {fitted.best.number} is kept"
    if fitted.best.number == 0:  # with --best-epoch
        found = "no epoch was better on tune than the head on the unchanged backbone, which is kept"
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
    """Fits a network from scratch; arguments as `fit_and_tell`."""
    with progress_bar(f"fitting for {_about_epochs(recipe)}", None) as show:

        def on_step(step: Step) -> None:
            show(step.number, step.of)
            recorder(step)
            epoch = step.epoch
            if epoch and epoch.note:
                say(epoch.note)
            if epoch and epoch.number and (epoch.number % -(-recipe.epochs // 10) == 0 or epoch.number == 1):
                say(f"epoch {epoch.number:>3}: loss {epoch.fit_loss:.4f}, {_share_right(epoch)}")

        return fit(classifier, splits, recipe, processes, on_step, checkpoint)


def _share_right(epoch: Epoch) -> str:
    if isnan(epoch.tune_accuracy):
        return f"fit accuracy {epoch.fit_accuracy:.2%}"
    return f"tune accuracy {epoch.tune_accuracy:.2%}"


def _fit_and_judge(
    classifier: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    recorder: Recorder,
    checkpoint: Checkpoint,
) -> Fitted:
    """Fits a network from scratch, and one per fold if there is no tune split; arguments as `fit_and_tell`."""
    if len(splits.tune):
        return _fit_network(classifier, splits, recipe, processes, recorder, checkpoint)
    folds = partial(fit_folds, deepcopy(classifier), splits, recipe, processes)
    with beside(folds, can_be_fitted_beside(classifier, recipe, processes)) as judges:
        fitted = _fit_network(classifier, splits, recipe, processes, recorder, checkpoint)
        with progress_bar("fitting the models of the cross-validation", None) as show:
            return replace(fitted, folds=judges.result(show))


def _about_epochs(recipe: Recipe) -> str:
    """How many epochs there may be: fewer if little is left to learn, more if the images are hard."""
    if recipe.hard_epochs > recipe.epochs:
        return f"{recipe.epochs} epochs, or {recipe.hard_epochs} if the images are hard"
    return f"at most {_epochs(recipe)}" if recipe.enough else _epochs(recipe)


def _epochs(recipe: Recipe) -> str:
    return f"{recipe.epochs} epoch{'s' * (recipe.epochs != 1)}"


def kept_parts(classifier: Classifier, recorder: Recorder) -> dict[str, Stateful]:
    """What a checkpoint stores besides the state of the fit."""
    features: dict[str, Stateful] = {"features": classifier.made} if isinstance(classifier, FrozenClassifier) else {}
    return {"report": recorder, **features}
