"""Steps of each network in float32 and in bfloat16, in turns, on this processor: whether `--precision auto` should use
bfloat16 here (the table in trainer/learn/precision.py). About two minutes.

The steps are the trainer's own: augmentation, forward and backward pass, optimizer. Images are noise, because the time
does not depend on their content.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import get_args

import numpy as np
import torch

from benchmarks.runs import cpu_flags, keep, machine
from benchmarks.training.running import FLAGS
from vouch.bundle.training import Precision
from vouch.sources.examples import Examples
from vouch.trainer.kinds import ModelKind
from vouch.trainer.learn.asked import Asked
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.processes import ALONE
from vouch.trainer.learn.seen import Seen
from vouch.trainer.learn.steps import Steps
from vouch.trainer.splits.split import Splits

CLASSES, IMAGES = 10, 256
NETWORKS: dict[str, tuple[Asked, tuple[int, ...]]] = {
    "linear, 28 x 28": (Asked(model="linear"), (28, 28)),
    "mlp, 28 x 28": (Asked(model="mlp"), (28, 28)),
    "cnn, 28 x 28": (Asked(), (28, 28)),
    "cnn, photographs of 224 x 224": (Asked("photos", batch_size=16), (224, 224, 3)),
}
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
GAIN = 0.95
"""Of float32's time: what bfloat16 has to take less than, to be worth its place in the table."""
MANY = 60_000
"""Images, by which batches and widths are chosen."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--seconds", type=float, default=25.0, help="time for each network")
    arguments = parser.parse_args()
    flags = " ".join(cpu_flags(FLAGS))
    where = f"{machine()}, {flags}, torch {torch.__version__}"
    print(f"{where}\n\n| network | float32, ms a step | bfloat16, ms | bfloat16 / float32 | faster |")
    print("|---|---|---|---|---|")
    found: dict[str, dict[str, float]] = {}
    for name, (asked, shape) in NETWORKS.items():
        taken = in_turns({one: stepper(asked, shape, one) for one in PRECISIONS}, arguments.seconds)
        found[name] = {one: round(1000 * median(times), 3) for one, times in taken.items()}
        ratio = found[name]["bfloat16"] / found[name]["float32"]
        figures = " | ".join(f"{found[name][one]:.2f}" for one in PRECISIONS)
        print(f"| {name} | {figures} | {ratio:.2f} | {faster(found[name])} |", flush=True)
    print(f"\nthe row of [{flags}] in trainer/learn/precision.py: {row(found)}")
    keep("precision", {"where": where, "ms": found})
    return 0


def stepper(asked: Asked, shape: tuple[int, ...], precision: Precision) -> Callable[[], None]:
    """A function that makes one step of the trainer's."""
    recipe = replace(recipe_for(asked, (MANY, *shape), torch.get_num_threads()), precision=precision)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (IMAGES, *shape), dtype=np.uint8)
    examples = Examples(images, np.arange(IMAGES) % CLASSES)
    splits = Splits(tuple(map(str, range(CLASSES))), examples, examples[:0], examples, ())
    torch.manual_seed(0)
    model = Classifier(asked.model, shape, CLASSES, Layers.of(recipe))
    model.see_statistics([torch.from_numpy(images)])
    model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # torch's stub lacks this form
    pixels, labels = torch.from_numpy(images), torch.from_numpy(examples.labels)
    steps, generator, seen = Steps(model, splits, labels, recipe, ALONE), torch.Generator(), Seen(ALONE)

    def step() -> None:
        rows = torch.randperm(IMAGES, generator=generator)[: recipe.batch_size]
        steps.make(rows, pixels[rows], 0, generator, seen)
        seen.told()

    return step


def in_turns(ways: dict[Precision, Callable[[], None]], seconds: float) -> dict[Precision, list[float]]:
    """Seconds of each step; the first one of each is not counted."""
    times: dict[Precision, list[float]] = {name: [] for name in ways}
    for step in ways.values():
        step()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times["float32"]) < 3:
        for name, step in ways.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    return times


def faster(ms: dict[str, float]) -> Precision:
    """Which one to take."""
    return "bfloat16" if ms["bfloat16"] < GAIN * ms["float32"] else "float32"


def row(found: dict[str, dict[str, float]]) -> str:
    """What the table needs to know: a kind gains where every size of it that was measured does."""
    kinds: dict[ModelKind, list[Precision]] = {}
    for name, (asked, _) in NETWORKS.items():
        kinds.setdefault(asked.model, []).append(faster(found[name]))
    gains = [kind for kind, of in kinds.items() if set(of) == {"bfloat16"}]
    return f"bfloat16 for {', '.join(gains)}" if gains else "float32 for all"


if __name__ == "__main__":
    sys.exit(main())
