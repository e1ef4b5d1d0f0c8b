"""A running fit of a network: its epochs, the measurements after each, and the state from which it can be resumed."""

import time
from collections.abc import Callable
from dataclasses import asdict, astuple, replace
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from vouch.bundle.training import Recipe
from vouch.trainer.learn.course import Epoch, Fitted, Step
from vouch.trainer.learn.device import moved
from vouch.trainer.learn.effort import FEW
from vouch.trainer.learn.hard import HARD, commonest_share, for_hard_images, known, looked_at
from vouch.trainer.learn.heap import keep_freed_memory
from vouch.trainer.learn.losses import measure
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.optimizers import WARM_UP
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.learn.processes import Processes
from vouch.trainer.learn.steps import Steps
from vouch.trainer.learn.under_way import UnderWay, mixed_seed
from vouch.trainer.splits.split import Splits

ANSWERED_TOGETHER = 64
"""Batch size for answering variants."""


class Fit:
    """A running fit.

    The randomness of an epoch comes only from the seed and the epoch's number, so a resumed fit gives the same result.
    """

    def __init__(
        self,
        model: Classifier,
        splits: Splits,
        recipe: Recipe,
        processes: Processes,
        make_steps: Callable[..., Steps],
    ) -> None:
        self.model, self.processes, self._splits, self._first = model, processes, splits, recipe
        self._make_steps = make_steps
        self.images, self.labels = as_tensors(splits.fit, processes.device)
        self.tune = as_tensors(splits.tune, processes.device)
        self.started = time.perf_counter()
        torch.set_num_threads(recipe.threads)
        keep_freed_memory()
        model.to(processes.device)
        model.see_statistics(self.images.batches())
        self._start(recipe)
        self._first_epoch = self.steps.an_epoch

    def _start(self, recipe: Recipe, note: str = "") -> None:
        """Starts from the model's current weights.

        Args:
            note: of the epoch before training.
        """
        self.recipe, self._note = recipe, note
        _lay_out(self.model.to(self.processes.device), torch.channels_last)  # the faster layout for convolutions
        self.steps = self._make_steps(self.model, self._splits, self.labels, recipe, self.processes)
        self.epochs = [replace(self._measured(0, nan, nan, images=0, seconds=0.0), note=note)]
        self.best, self.best_weights = self.epochs[0], _weights(self.model)
        self.now: UnderWay | None = None

    def _start_again(self, note: str) -> None:
        """Restarts with the recipe for hard images, as if the fit had started with it."""
        recipe = for_hard_images(self._first, self._first_epoch)
        self.model.begin_again(Layers.of(recipe), recipe.seed)
        self._start(recipe, note)

    def _hard(self) -> str:
        """A sentence if the images have just turned out to be hard; otherwise empty."""
        last = self.epochs[-1]
        if last.number != looked_at(self.recipe, self.steps.an_epoch) or not len(self._splits.tune):
            return ""
        if known(last.tune_accuracy, commonest_share(self._splits.tune.labels)) >= HARD:
            return ""
        found = f"tune accuracy is only {last.tune_accuracy:.1%} after epoch {last.number}"
        return f"these images are hard: {found}, so fitting restarts, for {self.recipe.hard_epochs} epochs"

    def first_step(self) -> Step:
        """Step 0, before the first one."""
        return Step(0, self.steps.rate(0), nan, self.epochs[0], self.steps.schedule.steps)

    def more(self) -> bool:
        """Whether there is another epoch."""
        return self._made() < self.steps.schedule.steps

    def _made(self) -> int:
        """Number of steps in completed epochs."""
        return (len(self.epochs) - 1) * self.steps.an_epoch

    def epoch(self, on_step: Callable[[Step], None], reached: Callable[[], None] = lambda: None) -> None:
        """Runs an epoch, or the rest of it: the recipe's number of passes over the images.

        Args:
            reached: called between steps, when all finished steps are reported and in the state.
        """
        number, before = len(self.epochs), self._made()
        now = self.now = self.now or self._begin(number)
        # Evenly, so that the last step is not smaller.
        rows_of_steps = torch.tensor_split(now.rows, self.steps.an_epoch)[now.steps :]
        self.model.train()
        images = self.images.of_each(self.processes.share(rows) for rows in rows_of_steps)
        for rows, pixels in zip(rows_of_steps, images, strict=True):
            self.steps.make(rows, pixels, before + now.steps, now.variants, now.seen)
            now.steps += 1
            if now.steps < self.steps.an_epoch and now.seen.due():
                for step in now.seen.told():
                    on_step(self._placed(step))
                reached()
        *others, last = now.seen.told()
        for step in others:
            on_step(self._placed(step))
        self._end(number, now)
        on_step(replace(self._placed(last), epoch=self.epochs[-1]))
        if note := self._hard():
            self._start_again(note)
            on_step(self.first_step())

    def _placed(self, step: Step) -> Step:
        """The step with the total number of steps, as far as known."""
        return replace(step, of=self.steps.schedule.steps)

    def _begin(self, number: int) -> UnderWay:
        """Starts an epoch: the order of images, the same in all processes, and the seeds of variants and dropout."""
        seed, rank = self.recipe.seed, self.processes.rank
        rows = self.steps.order.rows(torch.Generator().manual_seed(mixed_seed(seed, number, 0)))
        variants = torch.Generator().manual_seed(mixed_seed(seed, number, 1, rank))
        torch.manual_seed(mixed_seed(seed, number, 2, rank))
        return UnderWay(rows, variants, self.processes)

    def _end(self, number: int, now: UnderWay) -> None:
        self.now = None
        self.steps.order.end_epoch(self.processes)
        seconds = time.perf_counter() - now.began
        loss, accuracy = now.seen.means()
        notes = [self._look_at_variants(number, accuracy)]
        measured = self._measured(number, loss, accuracy, len(now.rows), seconds)
        if self.steps.end_early(loss, number):
            notes.append(f"the loss on fit leaves little to learn, so training ends after {self._of()} epochs")
        self.epochs.append(replace(measured, note="; ".join(filter(None, notes))))
        if self._is_kept(measured):
            self.best, self.best_weights = self.epochs[-1], _weights(self.model)

    def _is_kept(self, measured: Epoch) -> bool:
        """Whether this epoch's weights are kept: those of the last epoch, or those with the smallest loss on tune."""
        if self.recipe.settled >= 1 or not len(self._splits.tune):
            return not self.more()
        late = self.steps.schedule.progress(self._made()) > self.recipe.settled
        return late and measured.tune_loss_calibrated <= self.best.tune_loss_calibrated

    def _look_at_variants(self, number: int, learned: float) -> str:
        """Compares answers to variants and to images; the leading process decides for all. Returns a note, or nothing.

        Args:
            learned: share of right answers to the variants of this epoch.
        """
        generator = torch.Generator().manual_seed(mixed_seed(self.recipe.seed, number, 3))

        def sample(count: int) -> tuple[Tensor, Tensor]:
            rows = torch.randperm(len(self.images), generator=generator)[:count]
            (pixels,) = self.images.of_each([rows])
            return self.model.normalised(pixels), self.labels[moved(rows, self.processes.device)]

        @torch.no_grad()
        def answers(x: Tensor) -> Tensor:
            self.model.eval()
            return torch.cat([self.model.scores(part) for part in torch.split(x, ANSWERED_TOGETHER)])

        if self.recipe.augment is None or self._too_early(number):
            return ""
        variants = self.steps.variants
        note = variants.end_epoch(answers, sample, generator, learned) if self.processes.leads else ""
        variants.take(self.processes.from_leader(variants.numbers()))
        return note

    def _too_early(self, number: int) -> bool:
        """Whether the network knows too little to compare: with few images an epoch is only a few steps, after which it
        answers any variant worse than its image.
        """
        return len(self.labels) < FEW and self.steps.schedule.progress(number * self.steps.an_epoch) < WARM_UP

    def _measured(self, number: int, fit_loss: float, fit_accuracy: float, images: int, seconds: float) -> Epoch:
        # The leading process measures for all, so that all continue in the same way.
        looked = self.processes.leads and len(self._splits.tune) > 0
        found = astuple(measure(self.model, *self.tune)) if looked else (nan, nan, nan)
        loss, calibrated, accuracy = self.processes.from_leader(list(found))
        return Epoch(number, fit_loss, fit_accuracy, loss, calibrated, accuracy, images, seconds)

    def finish(self) -> Fitted:
        """Gives the model the kept weights."""
        self.model.load_state_dict(self.best_weights)
        _lay_out(self.model.to("cpu"), torch.contiguous_format)
        self.model.eval()
        seconds = time.perf_counter() - self.started
        return Fitted(tuple(self.epochs), self.best, seconds, self.recipe if self._note else None)

    def done(self) -> str:
        """How much of the fit is done, in words."""
        steps = f" and {self.now.steps:,} of the {self.steps.an_epoch:,} steps of the next" if self.now else ""
        return f"{len(self.epochs) - 1} of {self._of()} epochs{steps}"

    def _of(self) -> int:
        return self.steps.schedule.steps // self.steps.an_epoch

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {
            "again": self._note,
            "weights": _weights(self.model),
            "steps": self.steps.state_dict(),
            "epochs": [asdict(epoch) for epoch in self.epochs],
            "now": self.now.state_dict() if self.now else None,
            "best": self.best.number,
            "best_weights": self.best_weights,
            "seconds": time.perf_counter() - self.started,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        if state["again"]:
            self._start_again(state["again"])
        self.model.load_state_dict(state["weights"])
        self.steps.load_state_dict(state["steps"])
        self.epochs = [Epoch(**epoch) for epoch in state["epochs"]]
        if state["now"]:
            self.now = self._begin(len(self.epochs))
            self.now.load_state_dict(state["now"])
        self.best, self.best_weights = self.epochs[state["best"]], state["best_weights"]
        self.started -= state["seconds"]


def _lay_out(model: nn.Module, memory_format: torch.memory_format) -> None:
    model.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub lacks this form


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
