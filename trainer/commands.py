"""`vouch train` and `vouch compare`."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from vouch.bundle.caveat import Caveat
from vouch.bundle.caveats import caveats, no_better_than_chance
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import REPORT
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import open_bundle
from vouch.bundle.quantization import numbers_in_words
from vouch.cli.console import exit_code, output, print_caveats, print_json, say
from vouch.cli.exit_codes import TERMINATED
from vouch.cli.settings import parse
from vouch.cli.stopping import Terminated, stoppable
from vouch.sources.errors import SourceError
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained
from vouch.trainer.job import train as run_job
from vouch.trainer.like import base_of, what_came_of_it
from vouch.trainer.settings import CompareSettings, TrainSettings

EXPECTED = (SourceError, TrainError, BundleError)
EXAMPLES = """\
examples:
  vouch train                                       1,797 small digits, which come with Vouch
  vouch train mnist --model cnn --name mnist
  vouch train mnist --classes 3,7 --model linear --name threes-and-sevens
  vouch train photos/                               photos/LABEL/*.jpg
  vouch train --like models/mnist/1                 repeat this training
  torchrun --nproc-per-node 2 -m vouch.trainer mnist"""

COMPARE_EXAMPLES = """\
examples:
  vouch compare models/digits/1 models/digits/2
  vouch compare models/digits/* --json              each against version 1, p-values corrected (Holm)

If the validation splits share no image, or the classes differ, the reason is shown instead of a test. The
exit code is then still 0."""


def train(arguments: Sequence[str]) -> int:
    """Trains and publishes; returns the exit code: 143 after SIGTERM. Ctrl-C is raised and gives 130."""
    settings = _parse(arguments)
    _let_threads_sleep()

    def run() -> None:
        if settings.like:
            _train_like(settings, settings.like, arguments)
        else:
            _train(settings)

    try:
        with stoppable():
            return exit_code(run, EXPECTED)
    except Terminated:
        say("terminated")
        return TERMINATED


def _let_threads_sleep() -> None:
    """Makes torch's threads sleep while they wait for each other; OpenMP reads this when torch is loaded. By default
    they spin, which wastes most of the time if another program uses a core (figures in docs/decisions/training.md).
    """
    if not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def compare(arguments: Sequence[str]) -> int:
    """Prints models side by side; returns the exit code."""
    settings = parse(CompareSettings, "vouch compare", arguments, COMPARE_EXAMPLES)

    def run() -> None:
        comparison = import_module("vouch.trainer.compare.compare").compare(settings.bundles, settings.allow_domain)
        shown = import_module("vouch.trainer.compare.comparison")
        if settings.json_output:
            print_json(shown.as_json(comparison))
        else:
            for line in shown.text(comparison, output().width).split("\n"):
                output().print(line)

    return exit_code(run, EXPECTED)


def _parse(arguments: Sequence[str]) -> TrainSettings:
    return parse(TrainSettings, "vouch train", arguments, EXAMPLES)


def _train_like(asked: TrainSettings, path: Path, arguments: Sequence[str]) -> None:
    """Repeats the training of a bundle, and prints whether the result is the same."""
    before, base = open_bundle(path).manifest, base_of(path, asked)
    trained = _train(parse(TrainSettings, "vouch train", arguments, base=base, warned=lambda warning: None))
    if trained and trained.new:
        say(what_came_of_it(path, before, trained.bundle.manifest))


def _what_was_fitted(manifest: Manifest) -> dict[str, Any]:
    """Preset, model, backbone and int8; None if the bundle has none, or is older and does not state it."""
    training = manifest.training
    return {
        "preset": training.recipe.preset if training.recipe else None,
        "model": training.model,
        "backbone": training.backbone.model_dump() if training.backbone else None,
        "quantization": manifest.quantization.model_dump() if manifest.quantization else None,
        "quantization_refused": manifest.quantization_refused,
    }


def _sentences(trained: Trained) -> Iterator[tuple[str, str]]:
    """The lines printed below the claim, each with its first word."""
    manifest = trained.bundle.manifest
    if numbers := numbers_in_words(manifest.quantization, manifest.quantization_refused):
        yield "numbers", numbers
    for sentence in trained.advice:
        yield "advice", sentence
    if trained.serving:
        yield "cost", trained.serving.sentence()


def _train(settings: TrainSettings) -> Trained | None:
    trained = run_job(settings)
    if trained is None:  # torchrun started several processes; only the leading one prints
        return None
    manifest = trained.bundle.manifest
    report = (trained.bundle.path.resolve() / REPORT).as_uri() if REPORT in manifest.files else None
    if settings.json_output:
        print_json(_as_json(trained, report))
        return trained
    output().print(f"{'published' if trained.new else 'already published:'} {trained.bundle.path}")
    output().print(f"  claim    {manifest.claim.accuracy}")
    if manifest.claim.balanced:
        output().print(f"  balanced {manifest.claim.balanced}")
    print_caveats("warning", [caveat.text for caveat in _caveats(manifest)])
    for what, sentence in _sentences(trained):
        output().print(f"  {what:8} {sentence}")
    output().print(f"  next     vouch serve {shlex.quote(str(settings.models))}")
    if report:
        output().print("  report  ", end=" ")
        output().print(report, style=f"link {report}")  # plain text if this is not a terminal
    return trained


def _caveats(manifest: Manifest) -> tuple[Caveat, ...]:
    return caveats(manifest.claim, manifest.calibration, manifest.labels)


def _as_json(trained: Trained, report: str | None) -> dict[str, Any]:
    manifest = trained.bundle.manifest
    claim, balanced = manifest.claim.accuracy, manifest.claim.balanced
    return {
        "bundle": str(trained.bundle.path),
        "name": manifest.name,
        "version": manifest.version,
        **_what_was_fitted(manifest),
        "correct": claim.correct,
        "total": claim.total,
        "accuracy": claim.accuracy,
        "low": claim.low,
        "high": claim.high,
        "balanced": asdict(balanced) if balanced else None,
        "baseline": manifest.claim.baseline.accuracy,
        "no_better_than_chance": no_better_than_chance(manifest.claim),
        "caveats": [asdict(caveat) for caveat in _caveats(manifest)],
        "calibration": manifest.calibration.as_json() if manifest.calibration else None,
        "seconds": manifest.training.seconds,
        "new": trained.new,
        "digest": trained.bundle.digest,
        "report": report,
        "advice": list(trained.advice),
        "serving": trained.serving.as_json() if trained.serving else None,
        "read": trained.read.as_json() if trained.read else None,
    }
