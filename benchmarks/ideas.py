"""The effect of each idea in the cnn's recipe: removed, or added, one at a time.

    make ideas        about half an hour on two cores; tables on standard output, figures in docs/measured/ideas.json

Accuracy: every variant is fitted with a short schedule to 50,000 of MNIST's fit images and measured on the other
10,000, with several seeds; the validation split is not read. All have the same number of epochs, so compare their
seconds of processor time too, if nothing else runs. Speed: steps of the variants that change only the time, in turns.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from statistics import mean, median, stdev
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.runs import keep, machine
from vouch.bundle.training import Augmentation, Recipe
from vouch.sources.load import load
from vouch.trainer.learn.augment import warp
from vouch.trainer.learn.course import Step
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.losses import measure
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.pixels import as_tensors
from vouch.trainer.learn.presets import PRESETS
from vouch.trainer.splits.split import Splits

HELD_ASIDE = 10_000
DEFAULT = PRESETS["digits", "cnn"]
AUGMENT = DEFAULT.augment or Augmentation()
VARIANTS: dict[str, Recipe] = {
    "the default recipe": DEFAULT,
    "AdamW in place of Muon": replace(DEFAULT, optimizer="adamw", learning_rate=1e-2),
    "no focus on hard images": replace(DEFAULT, focus=0.0),
    "whole images in place of crops": replace(DEFAULT, augment=replace(AUGMENT, crop=1.0)),
    "no bent variants": replace(DEFAULT, augment=replace(AUGMENT, bend=0.0)),
    "no augmentation": replace(DEFAULT, augment=None),
    "no label smoothing": replace(DEFAULT, label_smoothing=0.0),
    "batches of 64": replace(DEFAULT, batch_size=64, learning_rate=6e-3, muon_rate=0.04),
    "batches of 256": replace(DEFAULT, batch_size=256, learning_rate=1.2e-2, muon_rate=0.09),
    "half as wide again": replace(DEFAULT, width=96),
}
AVERAGED = "the default, its weights averaged"
EMA = get_ema_multi_avg_fn(0.995)  # type: ignore[no-untyped-call]
"""A moving average of the weights over about the last 200 steps."""


@dataclass(frozen=True)
class Tried:
    """What a variant came to."""

    accuracies: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """On tune at the best temperature: finer than a count, and fair to smoothed labels."""
    seconds: list[float] = field(default_factory=list)

    def add(self, classifier: Classifier, splits: Splits, seconds: float) -> None:
        """Measures it on tune."""
        tune = measure(classifier, *as_tensors(splits.tune))
        self.accuracies.append(tune.accuracy)
        self.losses.append(tune.calibrated_loss)
        self.seconds.append(seconds)


def main() -> int:
    """Runs the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "accuracy"))
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "torch": torch.__version__, "epochs": arguments.epochs}
    splits = held_aside(arguments.data)
    if arguments.only != "accuracy":
        figures["speed"] = speeds(splits)
    if arguments.only != "speed":
        figures["accuracy"] = accuracies(splits, arguments.epochs, arguments.seeds)
    print(f"\n{machine()}, torch {torch.__version__}")
    keep("ideas", figures)
    return 0


def held_aside(data: str) -> Splits:
    """MNIST's fit split as fit and tune; what stands for validation is tune once more and is not looked at."""
    source = load(data)
    examples = source.splits["fit"]
    rows = np.random.default_rng(123).permutation(len(examples))
    tune = examples[rows[:HELD_ASIDE]]
    return Splits(source.classes, examples[rows[HELD_ASIDE:]], tune, tune, ())


def accuracies(splits: Splits, epochs: int, seeds: int) -> dict[str, Any]:
    """Fits every variant, all with one seed before any with the next."""
    tried = {name: Tried() for name in (*VARIANTS, AVERAGED)}
    for seed in range(seeds):
        for name, recipe in VARIANTS.items():
            torch.manual_seed(seed)
            classifier = Classifier("cnn", splits.fit.images.shape[1:], len(splits.classes), Layers.of(recipe))
            averaged = AveragedModel(classifier, multi_avg_fn=EMA, use_buffers=True)

            def on_step(_: Step, averaged: AveragedModel = averaged, classifier: Classifier = classifier) -> None:
                averaged.update_parameters(classifier)

            began = time.process_time()
            fit(classifier, splits, replace(recipe, epochs=epochs, seed=seed), on_step=on_step)
            spent = time.process_time() - began
            tried[name].add(classifier, splits, spent)
            if recipe is DEFAULT:
                tried[AVERAGED].add(cast(Classifier, averaged.module.eval()), splits, spent)
            print(f"seed {seed}, {name}: {tried[name].accuracies[-1]:.2%}", file=sys.stderr, flush=True)
    print(f"\n| idea | errors in {HELD_ASIDE:,}, mean | spread | calibrated loss | CPU seconds, median |")
    print("|---|---|---|---|---|")
    for name, of in tried.items():
        errors = [(1 - accuracy) * HELD_ASIDE for accuracy in of.accuracies]
        spread = f"{stdev(errors):.1f}" if len(errors) > 1 else "-"
        print(f"| {name} | {mean(errors):.1f} | {spread} | {mean(of.losses):.4f} | {median(of.seconds):.0f} |")
    return {name: vars(of) for name, of in tried.items()}


def speeds(splits: Splits) -> dict[str, Any]:
    """Times steps of the default recipe in turns with the same steps done in another way."""
    ways = {
        "the default: channels last, float32, tensors in memory": stepper(splits),
        "channels first": stepper(splits, memory_format=torch.contiguous_format),
        "bfloat16 autocast": stepper(splits, autocast=lambda: torch.autocast("cpu", torch.bfloat16)),
        "torch.compile": stepper(splits, compiled=True),
        "a DataLoader in place of tensors": stepper(splits, loader=True),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for name, step in ways.items():
        began = time.perf_counter()
        step()
        print(f"first step of {name}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    for _ in range(40):
        for name, step in ways.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    usual = median(next(iter(times.values())))
    print(f"| a step of {DEFAULT.batch_size} images | ms, median | time / the default's |\n|---|---|---|")
    for name, of in times.items():
        print(f"| {name} | {median(of) * 1000:.1f} | {median(of) / usual:.2f} |")
    return times


def stepper(
    splits: Splits,
    memory_format: torch.memory_format = torch.channels_last,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
    compiled: bool = False,
    loader: bool = False,
) -> Callable[[], None]:
    """A function that makes one step: images fetched, varied, answered, and learned from."""
    classifier = Classifier("cnn", splits.fit.images.shape[1:], len(splits.classes))
    classifier.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stub lacks this form
    images, labels = torch.from_numpy(splits.fit.images), torch.from_numpy(splits.fit.labels)
    classifier.see_statistics([images])
    network: Callable[[Tensor], Tensor] = torch.compile(classifier.network) if compiled else classifier.network
    optimizer = torch.optim.AdamW(classifier.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(0)
    batches = iter(DataLoader(TensorDataset(images, labels), DEFAULT.batch_size, shuffle=True))

    def fetched() -> tuple[Tensor, Tensor]:
        if loader:
            x, wanted = next(batches)
            return x, wanted
        rows = torch.randint(len(images), (DEFAULT.batch_size,), generator=generator)
        return images[rows], labels[rows]

    def step() -> None:
        x, wanted = fetched()
        x = warp(classifier.normalised(x), AUGMENT, generator).contiguous(memory_format=memory_format)
        with autocast():
            loss = nn.CrossEntropyLoss(label_smoothing=DEFAULT.label_smoothing)(network(x), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    sys.exit(main())
