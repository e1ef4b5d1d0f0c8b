"""Mini-batch gradient descent: changes the weights, step by step, epoch by epoch, and never the images."""

from collections.abc import Callable

from vouch.bundle.training import Recipe
from vouch.cli.stopping import postponing
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.checkpoint import Checkpoint
from vouch.trainer.learn.course import Fitted, Step
from vouch.trainer.learn.epochs import Fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import ALONE, Processes
from vouch.trainer.learn.steps import Steps
from vouch.trainer.splits.split import Splits


def fit(
    model: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes = ALONE,
    on_step: Callable[[Step], None] = lambda step: None,
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Trains the model.

    Args:
        splits: fit changes the weights; tune, if there is one, is measured after each epoch.
        processes: the device, and the other processes.
        on_step: called for the start, as step 0, and after each step; the model then has the weights after it (on a
            GPU only after the first step and at the end of an epoch). Only in the leading process.
        checkpoint: where the state is saved from time to time, and resumed from.

    Raises:
        TrainError: the loss is no longer finite, a step has too few images for the network, or the checkpoint cannot
            be read or written.
    """
    work = Fit(model, splits, recipe, processes, Steps)
    resumed = checkpoint is not None and checkpoint.resume_into(work)
    if processes.from_leader([float(resumed)]) != [float(resumed)]:
        raise TrainError("this process cannot find the checkpoint of the leading one: all need the same models folder")
    if processes.leads and not resumed:
        on_step(work.first_step())
    if processes.count == 1:
        _go_through(work, on_step, checkpoint)
    while work.more():  # several processes save only after whole epochs, because they can be interrupted anywhere
        work.epoch(on_step if processes.leads else lambda step: None)
        if checkpoint and processes.leads:
            checkpoint.save(work.state_dict(), work.done())
    return work.finish()


def fit_by(
    make_steps: Callable[..., Steps],
    model: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    on_step: Callable[[Step], None],
) -> Fitted:
    """As `fit`, in one process, with other steps, and without a checkpoint."""
    work = Fit(model, splits, recipe, processes, make_steps)
    while work.more():
        work.epoch(on_step)
    return work.finish()


def _go_through(work: Fit, on_step: Callable[[Step], None], checkpoint: Checkpoint | None) -> None:
    """Runs all epochs; saves the state from time to time, and when interrupted."""
    with postponing() as interrupt:

        def reached() -> None:
            if checkpoint and (interrupt() or checkpoint.due()):
                checkpoint.save(work.state_dict(), work.done())
            if wish := interrupt():
                raise wish

        while work.more():
            work.epoch(on_step, reached)
            reached()
    if checkpoint:
        checkpoint.save(work.state_dict(), work.done())  # if a later stage fails, the fit need not be repeated
