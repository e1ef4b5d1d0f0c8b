"""The effect of `--balance` if one class is rare: 300 of MNIST's threes and 10 of its eights, with and without it.

    python -m benchmarks.uneven --mnist ../shared/data/mnist

Measured on 300 of each from the validation split, so that both classes count equally. Whole commands with default
settings, a few seconds each; the counts go to `docs/measured/uneven.json`.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.runs import commit, keep, machine, run_vouch
from benchmarks.training.running import CODE
from vouch.bundle.claims import Claim
from vouch.bundle.opening import open_bundle
from vouch.sources.examples import Examples
from vouch.sources.load import load

COMMON, RARE = 3, 8
OF_COMMON, OF_RARE, JUDGED = 300, 10, 300
WITH, WITHOUT = "--balance", "--no-balance"


def main() -> None:
    """Prints a table and keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--draws", type=int, default=5)
    asked = parser.parse_args()
    splits = load(asked.mnist).splits
    draws = []
    print(f"| draw | right of {2 * JUDGED} without, with {WITH} | of them eights |\n|---|---|---|")
    for seed in range(asked.draws):
        without, balanced = (_right(splits["fit"], splits["validation"], seed, flag) for flag in (WITHOUT, WITH))
        draws.append({"seed": seed, WITHOUT: without, WITH: balanced})
        right, rare = (f"{without[key]}, {balanced[key]}" for key in ("right", "rare"))
        print(f"| {seed} | {right} | {rare} |", flush=True)
    keep("uneven", {"machine": machine(), "commit": commit(CODE), "judged": 2 * JUDGED, "draws": draws})


def _right(fit: Examples, validation: Examples, seed: int, flag: str) -> dict[str, Any]:
    """Right answers of a training on this draw, and those to the rare class among them."""
    random = np.random.default_rng(seed)
    learned = _drawn(fit, {COMMON: OF_COMMON, RARE: OF_RARE}, random)
    judged = _drawn(validation, {COMMON: JUDGED, RARE: JUDGED}, random)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "uneven.npz")
        arrays = {"fit_images": fit.images[learned], "fit_labels": fit.labels[learned]}
        held = {"validation_images": validation.images[judged], "validation_labels": validation.labels[judged]}
        np.savez(data, **arrays, **held)
        result = run_vouch("train", str(data), "--models", folder, "--seed", str(seed), "--device", "cpu", flag)
        manifest = open_bundle(Path(result["bundle"])).manifest
    assert isinstance(manifest.claim, Claim), "every image has one label"
    of_classes = dict(zip(manifest.labels, manifest.claim.per_class(2), strict=True))
    return {"right": manifest.claim.correct, "rare": of_classes[str(RARE)].correct}


def _drawn(examples: Examples, counts: dict[int, int], random: np.random.Generator) -> np.ndarray:
    """Rows of so many examples of these classes."""
    rows = random.permutation(len(examples))
    return np.concatenate([rows[examples.labels[rows] == label][:count] for label, count in counts.items()])


if __name__ == "__main__":
    main()
