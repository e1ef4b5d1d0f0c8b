"""Mini-batch gradient descent: the weights change, step by step, epoch by epoch; the images never do."""

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
    """Changes the model's weights until its answers come near the labels.

    Args:
        splits: fit changes the weights; tune, if there is one, is looked at after each epoch.
        processes: where it runs, and with which others.
        on_step: told of the start, as step 0, and of each finished step; the model then holds the weights after it,
            on a GPU after the first step and at the end of an epoch alone. In the leading process alone.
        checkpoint: where the state is kept from time to time, and gone on from.

    Raises:
        TrainError: the loss is no longer a number, a step has too few images for the network, or the checkpoint
            cannot be read or written.
    """
    work = Fit(model, splits, recipe, processes, Steps)
    resumed = checkpoint is not None and checkpoint.resume_into(work)
    if processes.from_leader([float(resumed)]) != [float(resumed)]:
        raise TrainError("this process does not see the checkpoint of the leading one: all need the same models folder")
    if processes.leads and not resumed:
        on_step(work.first_step())
    if processes.count == 1:
        _go_through(work, on_step, checkpoint)
    while work.more():  # by several, who are interrupted together in the middle of what they do together
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
    """As `fit`, in one process and by other steps; nothing is kept of it on the way."""
    work = Fit(model, splits, recipe, processes, make_steps)
    while work.more():
        work.epoch(on_step)
    return work.finish()


def _go_through(work: Fit, on_step: Callable[[Step], None], checkpoint: Checkpoint | None) -> None:
    """All epochs; keeps the state from time to time, and once more where it is interrupted."""
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
        checkpoint.save(work.state_dict(), work.done())  # whatever fails from now on, nothing is fitted again
