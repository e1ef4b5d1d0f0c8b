"""The fit of a head on a backbone and its output: first the features, which take longest, then the head."""

import time
from dataclasses import replace

from vouch.bundle.training import Recipe
from vouch.cli.console import progress_bar, say
from vouch.cli.stopping import postponing
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.course import Fitted
from vouch.trainer.learn.frozen import Asked, FrozenClassifier
from vouch.trainer.learn.head import check_can_fit, fit_head, wanted_features
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits


def fit_head_and_tell(
    classifier: FrozenClassifier,
    splits: Splits,
    recipe: Recipe,
    recorder: Recorder,
    checkpoint: Checkpoint,
) -> Fitted:
    """Computes features, which the checkpoint keeps, then fits the head. Raises TrainError as `fit_head` does."""
    check_can_fit(recipe)
    began = time.perf_counter()
    _collect(classifier, wanted_features(splits, recipe), checkpoint)
    fitted = fit_head(classifier, splits, recipe, recorder)
    head, note = fitted.head, fitted.epochs[0].note
    assert head is not None
    right = ""
    if head.folds and len(splits.tune):  # without tune the caller prints the cross-validated accuracy
        right = f"cross-validated accuracy {head.accuracy:.2%} ({head.folds} folds), "
    say(f"head: {right}fitted in {len(fitted.epochs) - 1} iterations with a penalty of {head.penalty:.2g}")
    if note:
        say(note)
    return replace(fitted, seconds=time.perf_counter() - began)


def _collect(classifier: FrozenClassifier, wanted: tuple[Asked, ...], checkpoint: Checkpoint) -> None:
    """Computes the features that are not in the checkpoint yet."""
    facts, total, made = classifier.backbone.facts, sum(len(one.examples) for one in wanted), False
    with progress_bar(f"features: {facts.features:,} numbers per image, by {facts.name}", total) as show:
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
