"""Speed and accuracy of training, beside the widely copied PyTorch network for MNIST, in one run.

    make training                     the peer's 14 epochs, and between them every model of ours, several seeds each
    python -m benchmarks.training --digits      the demo's own data, 8 x 8 pixels, beside a support vector machine

Takes about an hour on two cores. The contenders take turns, so that a busy minute of the machine meets both. Tables
go to standard output, all figures to docs/measured/training.json. Our models are made by `vouch train` itself: their
accuracy is the claim, counted once on the 10,000 images of the validation split; their time is that of fitting with all
its measuring. The peer's time is that of its steps alone.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from sklearn.svm import SVC

from benchmarks.peer import EPOCHS, PeerEpoch, train_peer
from benchmarks.runs import keep, machine, run_vouch
from vouch.bundle.opening import open_bundle
from vouch.sources.examples import Examples
from vouch.sources.load import load
from vouch.trainer.reading import read_splits
from vouch.trainer.settings import TrainSettings


@dataclass(frozen=True)
class Contender:
    """A way of training, tried with several seeds."""

    name: str
    arguments: tuple[str, ...]
    seeds: int
    target: float
    """Mean accuracy to reach."""
    seconds: float | None = None
    """Time to need at most; None: a share of the peer's."""


CONTENDERS = (
    Contender("cnn", ("--model", "cnn"), 5, 0.9965),
    Contender("cnn, --preset best", ("--preset", "best"), 3, 0.9980, 300),
    Contender("linear", ("--model", "linear"), 3, 0.925, 5),
    Contender("mlp", ("--model", "mlp"), 3, 0.985, 20),
    Contender("cnn, 3 against 7", ("--model", "cnn", "--classes", "3,7"), 1, 0.99),
    Contender("linear, 3 against 7", ("--model", "linear", "--classes", "3,7"), 1, 0.975),
)
DIGITS_SEEDS, DIGITS_TARGET = 6, 0.988
PEER_SHARE = 1 / 12
"""Of the peer's time, for the default cnn."""


def main() -> int:
    """Runs the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--peer-epochs", type=int, default=EPOCHS, help="fewer make a quick look, not a result")
    parser.add_argument("--only", default="", help="a contender's name, and the peer; for a quick look")
    parser.add_argument("--digits", action="store_true", help="the demo's own data set alone (a minute or two)")
    arguments = parser.parse_args()
    if arguments.digits:
        return digits()
    contenders = [one for one in CONTENDERS if not arguments.only or one.name == arguments.only]
    jobs = [(one, seed) for seed in range(5) for one in contenders if seed < one.seeds]
    peer = train_peer(load(arguments.data), torch.device(arguments.device))
    epochs: list[PeerEpoch] = []
    runs: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contenders}
    with tempfile.TemporaryDirectory() as models:
        for turn in range(max(len(jobs), arguments.peer_epochs)):
            while len(epochs) < arguments.peer_epochs * (turn + 1) / len(jobs) and len(epochs) < arguments.peer_epochs:
                epochs.append(next(peer))
                say(f"peer, epoch {epochs[-1].number}: {epochs[-1].correct:,}, {epochs[-1].seconds:.0f} s")
            if turn < len(jobs):
                one, seed = jobs[turn]
                words = ("--data", arguments.data, "--device", arguments.device, "--models", models)
                result = run_vouch("train", *words, *one.arguments, "--seed", str(seed), "--name", "mnist")
                runs[one.name].append(result | course(Path(result["bundle"])) | {"seed": seed})
                say(f"{one.name}, seed {seed}: {result['correct']:,}, {result['seconds']:.1f} s")
    report(epochs, contenders, runs, arguments.device)
    return 0


def digits() -> int:
    """The default cnn on the digits, seed by seed, and a support vector machine on the same splits."""
    runs = []
    with tempfile.TemporaryDirectory() as models:
        for seed in range(DIGITS_SEEDS):
            words = ("--data", "digits", "--model", "cnn", "--device", "cpu", "--models", models)
            result = run_vouch("train", *words, "--seed", str(seed))
            splits, _ = read_splits(TrainSettings(data="digits", seed=seed))
            machine_right = support_vectors_right(splits.fit, splits.validation)
            runs.append({key: result[key] for key in ("correct", "total", "accuracy", "seconds")})
            runs[-1] |= {"seed": seed, "svm_correct": machine_right}
    ours, theirs = (mean(run[right] / run["total"] for run in runs) for right in ("correct", "svm_correct"))
    print("| model | accuracy, mean | right, every seed | of | target | seconds, mean |\n|---|---|---|---|---|---|")
    answered, of = (" ".join(str(run[key]) for run in runs) for key in ("correct", "total"))
    seconds = mean(run["seconds"] for run in runs)
    print(
        f"| cnn | {ours:.2%} | {answered} | {of} | {DIGITS_TARGET:.1%} {met(ours >= DIGITS_TARGET)} | {seconds:.1f} |"
    )
    print(f"| support vectors | {theirs:.2%} | {' '.join(str(run['svm_correct']) for run in runs)} | {of} | - | - |")
    print(f"\n{machine()}, cpu, torch {torch.__version__}")
    keep("digits", {"machine": machine(), "torch": torch.__version__, "runs": runs})
    return 0 if ours >= DIGITS_TARGET else 1


def support_vectors_right(fit: Examples, validation: Examples) -> int:
    """Right answers of scikit-learn's support vector machine with its default kernel (RBF) and settings."""
    learned = SVC().fit(fit.images[:].reshape(len(fit), -1) / 255, fit.labels)
    return int((learned.predict(validation.images[:].reshape(len(validation), -1) / 255) == validation.labels).sum())


def course(bundle: Path) -> dict[str, Any]:
    """When a training passed 99 % and 99.5 % on tune, and how many images it took in a second."""
    training = open_bundle(bundle).manifest.training
    reached: dict[str, float] = {}
    elapsed, images = 0.0, 0
    history = training.history
    for seconds, seen, accuracy in zip(history.seconds, history.images, history.tune_accuracy, strict=True):
        elapsed += seconds or 0.0
        images += int(seen or 0)
        for share in (0.99, 0.995):
            if (accuracy or 0.0) >= share:
                reached.setdefault(f"{share:.1%}", elapsed)
    return {"reached": reached, "images_a_second": images / elapsed}


def report(
    epochs: list[PeerEpoch], contenders: list[Contender], runs: dict[str, list[dict[str, Any]]], device: str
) -> None:
    """Prints the tables and keeps the figures."""
    last = epochs[-1]
    print(f"The peer after {last.number} epochs: {last.correct / 100:.2f} %, {last.seconds:.0f} s, ", end="")
    print(f"{last.images / last.seconds:,.0f} images a second; ", end="")
    print("; ".join(f"{share} after {peer_reached(epochs, share)}" for share in (0.99, 0.995)) + "\n")
    print("| model | accuracy, mean | spread | every seed | target | seconds, mean | at most | peer's time / ours |")
    print("|---|---|---|---|---|---|---|---|")
    for one in contenders:
        print(row(one, runs[one.name], last))
    print()
    for one in contenders:
        speeds = mean(run["images_a_second"] for run in runs[one.name])
        times = [f"{share} on tune after {times_to(runs[one.name], share)}" for share in ("99.0%", "99.5%")]
        print(f"- {one.name}: {speeds:,.0f} images a second; {', '.join(times)}")
    print(f"\n{machine()}, {device}, torch {torch.__version__}")
    kept = {
        name: [{k: v for k, v in run.items() if k not in ("bundle", "new")} for run in of] for name, of in runs.items()
    }
    figures = {"machine": machine(), "device": device, "torch": torch.__version__}
    keep(
        "training" if device == "cpu" else f"training-{device}",
        figures | {"peer": [asdict(e) for e in epochs], "runs": kept},
    )


def row(one: Contender, runs: list[dict[str, Any]], peer: PeerEpoch) -> str:
    """A contender's line of the table."""
    accuracies, seconds = [run["accuracy"] for run in runs], [run["seconds"] for run in runs]
    spread = f"{stdev(accuracies) * 100:.3f}" if len(runs) > 1 else "-"
    limit = one.seconds or (peer.seconds * PEER_SHARE if one.name == "cnn" else None)
    cells = [
        *(one.name, f"{mean(accuracies):.3%}", spread, " ".join(f"{run['correct']:,}" for run in runs)),
        *(f"{one.target:.2%} {met(mean(accuracies) >= one.target)}", f"{mean(seconds):.1f}"),
        f"{limit:.0f} {met(mean(seconds) <= limit)}" if limit else "-",
        f"{peer.seconds / mean(seconds):.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def met(it: bool) -> str:
    """A word for a target."""
    return "met" if it else "missed"


def peer_reached(epochs: list[PeerEpoch], share: float) -> str:
    """When the peer passed a share of the 10,000."""
    found: Iterator[str] = (f"{epoch.seconds:.0f} s" for epoch in epochs if epoch.correct >= share * 10_000)
    return next(found, "more than that")


def times_to(runs: list[dict[str, Any]], share: str) -> str:
    """The mean time of the runs that passed a share, and how many did."""
    times = [run["reached"][share] for run in runs if share in run["reached"]]
    return f"{mean(times):.1f} s ({len(times)} of {len(runs)} runs)" if times else "no run"


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
