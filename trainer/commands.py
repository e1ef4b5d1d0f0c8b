"""`vouch train`."""

from collections.abc import Sequence
from importlib import import_module

from bundle.errors import BundleError
from cli.console import exit_code, output, print_json
from cli.settings import parse
from sources.errors import SourceError
from trainer.errors import TrainError
from trainer.settings import TrainSettings

EXPECTED = (SourceError, TrainError, BundleError)
EXAMPLES = """\
examples:
  vouch train                                       the 1,797 digits that scikit-learn ships
  vouch train --data mnist --model cnn --name mnist
  vouch train --data mnist --classes 3,7 --model linear --name threes-and-sevens
  vouch train --data photos/ --size 64x64           photos/LABEL/*.jpg"""


def train(arguments: Sequence[str]) -> int:
    """Trains and publishes; returns the exit code."""
    settings = parse(TrainSettings, "vouch train", arguments, epilog=EXAMPLES)
    return exit_code(lambda: _train(settings), EXPECTED)


def _train(settings: TrainSettings) -> None:
    trained = import_module("trainer.run").train(settings)  # brings torch, for which --help and errors need not wait
    manifest = trained.bundle.manifest
    claim = manifest.claim.accuracy
    if settings.json_output:
        print_json(
            {
                "bundle": str(trained.bundle.path),
                "name": manifest.name,
                "version": manifest.version,
                "correct": claim.correct,
                "total": claim.total,
                "accuracy": claim.accuracy,
                "low": claim.low,
                "high": claim.high,
                "seconds": manifest.training.seconds,
                "new": trained.new,
                "digest": trained.bundle.digest,
            }
        )
        return
    output.print(f"{'published' if trained.new else 'already there:'} {trained.bundle.path}")
    output.print(f"  claim  {claim}")
    output.print(f"  next   vouch serve {settings.models}")
