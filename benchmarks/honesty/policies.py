"""Out-of-fold answers compared with a tune split of 5 % that also chooses the epoch: digits and photographs.

    python -m benchmarks.honesty.policies

Whole commands, with five seeds each; for the digits, each seed makes another split. All is measured on validation, with
the published graph. A head on a backbone has no epochs, so its old policy is only the small tune split.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from benchmarks.measured import head_of, put, row_of
from benchmarks.runs import MEASURED, Clock, commit, cpu_flags, keep, machine, run_vouch
from benchmarks.training.running import CODE, FLAGS
from vouch.bundle.opening import open_bundle
from vouch.trainer.judge.graph import answers

COMMAND = "python -m benchmarks.honesty.policies"
PAGE = MEASURED.parent / "explanation" / "accuracy.md"
OLD, NEW = "old", "new"
SPLIT = ("--tune-share", "0.05")
SEEDS = 5
LEAST = 1e-7
"""Of a probability whose logarithm is taken."""
Run = dict[str, Any]


@dataclass(frozen=True)
class Set:
    """Images, and what a policy is called there."""

    name: str
    data: str
    old: tuple[str, ...]


def main() -> None:
    """Measures, keeps the figures, and shows them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", default="../shared/data/insects", help="a folder of class folders")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    asked = parser.parse_args()
    sets = (Set("digits", "digits", (*SPLIT, "--best-epoch")), Set("insects", asked.photos, SPLIT))
    runs = [
        {"set": one.name, "policy": policy, "seed": seed} | trained(one.data, seed, one.old if policy == OLD else ())
        for seed in range(asked.seeds)
        for one in sets
        for policy in (OLD, NEW)
    ]
    where = f"{commit(CODE)}, {machine()}, {' '.join(cpu_flags(FLAGS))}"
    keep("policies", {"where": where, "runs": runs})
    table = recorded()
    print(table)
    PAGE.write_text(put(PAGE.read_text("utf-8"), table, COMMAND), "utf-8")


def trained(data: str, seed: int, options: tuple[str, ...]) -> Run:
    """What one `vouch train` came to."""
    with tempfile.TemporaryDirectory() as models:
        clock = Clock.started()
        result = run_vouch("train", data, "--models", models, "--seed", str(seed), "--device", "cpu", *options)
        run: Run = {"seconds": round(clock.seconds(), 2), "processor_s": round(clock.processor_seconds(), 2)}
        bundle = open_bundle(Path(result["bundle"]))
        validation, calibration = bundle.read_validation(), bundle.manifest.calibration
        found = answers(bundle.read_model(), validation.images)
    of_truth = found[np.arange(len(found)), validation.labels]
    assert calibration is not None, "every new bundle has one"
    coverages = {f"{one.promised:.0%}": [one.covered, round(one.mean_size, 3)] for one in calibration.coverages}
    log_loss = float(-np.log(np.maximum(of_truth, LEAST)).mean())
    return run | {
        "correct": bundle.manifest.claim.correct,
        "total": bundle.manifest.claim.total,
        "log_loss": round(log_loss, 5),
        "coverages": coverages,
    }


def recorded() -> str:
    """The table of what is kept."""
    path = MEASURED / "policies.json"
    if not path.exists():
        return "Not measured yet."
    kept = json.loads(path.read_text())
    return text(kept["runs"], kept["where"])


def text(runs: list[Run], where: str) -> str:
    """A line for each set and policy, and where it was measured."""
    names = ["images", "policy", "right (spread)", "log loss", "sets 90%", "sets 95%", "sets 99%", "core s"]
    lines = head_of(names)
    for name, policy in dict.fromkeys((run["set"], run["policy"]) for run in runs):
        lines.append(row(name, policy, [run for run in runs if (run["set"], run["policy"]) == (name, policy)]))
    return "\n".join([*lines, "", f"- {where}"])


def row(name: str, policy: str, runs: list[Run]) -> str:
    """Means over the seeds."""
    shares = [run["correct"] / run["total"] for run in runs]
    spread = f" ({stdev(shares) * 100:.2f})" if len(runs) > 1 else ""
    cells = [name, policy, f"{mean(shares):.2%}{spread}", f"{mean(run['log_loss'] for run in runs):.4f}"]
    cells += [of_sets(runs, promised) for promised in ("90%", "95%", "99%")]
    cells.append(f"{mean(run['processor_s'] for run in runs):.1f}")
    return row_of(cells)


def of_sets(runs: list[Run], promised: str) -> str:
    """The share of sets that contain the right label, and their mean size, of the runs that promise it."""
    found = [(run["coverages"][promised], run["total"]) for run in runs if promised in run["coverages"]]
    if not found:
        return "not given"
    covered = mean(covered / total for (covered, _), total in found)
    some = "" if len(found) == len(runs) else f" ({len(found)} of {len(runs)})"
    return f"{covered:.1%}, {mean(size for (_, size), _ in found):.2f}{some}"


if __name__ == "__main__":
    main()
