"""The page: the story and the measurements, put into one HTML file that needs nothing else."""

import itertools
from dataclasses import asdict, replace
from functools import cache
from math import log
from pathlib import Path
from typing import Any

import jinja2
from torch import nn

from vouch.bundle.caveats import baseline_in_words, calibration_in_words, caveats, no_better_than_chance
from vouch.bundle.training import Circumstances
from vouch.cli.printable import printable
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.networks import Linear as SingleLayer
from vouch.trainer.report.finished import Run
from vouch.trainer.report.learned import VARIANT, learned
from vouch.trainer.report.measured import gallery, measured
from vouch.trainer.report.pictures import image_tile, is_photograph
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import Story, tell
from vouch.trainer.report.wording import count, seconds, sentence, share, short, signed, speed

MAX_BYTES = 3_000_000
"""Every picture has a bound of its own; what is left of this is for the images behind the confusion matrix."""
MAX_CLASS_NAME, MAX_SETTING = 100, 1_000
"""Characters that are shown of a class's name, and of a setting or a warning."""
GALLERY_SIZES = (1200, 600, 300, 150, 0)
"""Images in the confusion matrix's cells; fewer where the page would be too large."""
TEMPLATES = Path(__file__).parent / "template"
KINDS = {"linear": "A single layer of weights", "mlp": "A network with hidden layers", "cnn": "A convolutional network"}
OPTIMIZERS = {"sgd": "stochastic gradient descent", "adamw": "AdamW", "muon": "Muon and AdamW"}
CHANNELS = {2: ("grey", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
"""Number of channels -> their names; a single one needs none."""
FEW_CLASSES = 4
"""So few have room for their names in one line above the confusion matrix, on a phone too."""
FROZEN = {
    "image": "A thing and its label",
    "backbone": "What never changes: the backbone",
    "weights": "Random weights",
    "scores": "Multiply, add up: scores",
    "loss": "How wrong: the loss",
    "step": "One step",
    "epochs": "The same image, epoch after epoch",
    "places": "What speaks for it, and where",
    "digests": "What changed, and what did not",
}
LEARNED = {
    "image": "A thing and its label",
    "weights": "Random weights",
    "scores": "Multiply, add up: scores",
    "loss": "How wrong: the loss",
    "step": "One step",
    "epochs": "The same image, epoch after epoch",
    "layers": "The weights, epoch after epoch",
    "digests": "What changed, and what did not",
    "opposite": "The opposite experiment",
    "variants": "New images from old ones",
}
MEASURED = {
    "curves": "Curves",
    "validation": "Validation accuracy",
    "confusion": "What is taken for what",
    "mistakes": "The worst mistakes",
    "where": "Where it looks",
    "doubts": "Likely label errors",
    "classes": "Class by class",
    "certainty": "Do probabilities mean what they say?",
    "next": "What to do next",
    "agreement": "The same answers where it is served",
    "settings": "Settings and versions",
}


def report_html(run: Run, recorder: Recorder) -> bytes:
    """report.html: one file under 3 MB, the same for the same run.

    Args:
        run: a finished training.
        recorder: has watched all of its steps.

    Raises:
        TrainError: it cannot be made that small.
    """
    run = _with_short_names(run)
    story = tell(recorder, run.classifier, run.splits, run.recipe.augment)
    template = _environment().get_template("page.html.j2")
    words = _words(run, story)
    tell_it = learned_frozen if words["frozen"] else learned
    shared = words | {"story": tell_it(run, recorder, story), "good": measured(run, recorder)}
    for most_images in GALLERY_SIZES:
        content = printable(template.render(shared, gallery=gallery(run, most_images)), keep="\n\t").encode()
        if len(content) < MAX_BYTES:
            return content
    raise TrainError(
        f"the report takes {len(content):,} bytes without any image of the confusion matrix; expected less than "
        f"{MAX_BYTES:,}, so this is a bug: nothing is published"
    )


def _with_short_names(run: Run) -> Run:
    """Names of classes stand in hundreds of places, and may have a thousand letters."""
    names = tuple(short(name, MAX_CLASS_NAME) for name in run.splits.classes)
    return replace(run, splits=replace(run.splits, classes=names))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "share": share,
        "signed": signed,
        "count": count,
        "seconds": seconds,
        "short": short,
        "speed": speed,
        "sentence": sentence,
    }
    return environment


def _words(run: Run, story: Story) -> dict[str, Any]:
    """Small facts that the templates' sentences are made with."""
    single_layer = isinstance(run.classifier.network, SingleLayer)
    image = story.image
    contents = _contents(story, run)
    titles = {section["key"]: section["title"] for _, sections in contents for section in sections}
    channels = CHANNELS.get(image.shape[-1], ()) if image.ndim == 3 else ()
    longest = max(map(len, run.splits.classes))
    steps_an_epoch = -(-len(run.splits.fit) // run.recipe.batch_size)
    return {
        "run": run,
        "single_layer": single_layer,
        "filters": any(isinstance(module, nn.Conv2d) for module in run.classifier.network.modules()),
        "kind": KINDS.get(run.training.model or "", "A network"),
        "optimizer": OPTIMIZERS.get(run.recipe.optimizer, run.recipe.optimizer),
        "shape": image.shape[:2],
        "pixels_count": image.size,
        "pixelated": not is_photograph(image.shape),
        "weights_count": sum(weights.numel() for weights in run.classifier.parameters()),
        "batch_size": -(-len(run.splits.fit) // steps_an_epoch),
        "guess_loss": log(len(run.splits.classes)),
        "original": image_tile(image, "the first image", VARIANT),
        "contents": contents,
        "numbered": titles.__getitem__,
        "interval": _interval(run),
        "long_names": longest > 3,
        "upright_names": longest > 3 and len(run.splits.classes) > FEW_CLASSES,
        "channels": channels,
        "mean_over_channels": " The pictures show the mean over the channels." if channels else "",
        "tables": _tables(run),
        **_honesty(run),
    }


def _contents(story: Story, run: Run) -> list[tuple[str, list[dict[str, str]]]]:
    """The parts of the page with their sections, numbered through; those that this run has nothing for are left out."""
    left_out = {
        key for key, there in (("variants", story.variants is not None), ("confusion", not run.several)) if not there
    }
    numbers = itertools.count(1)
    return [
        (
            part,
            [
                {"key": key, "title": f"{next(numbers)}. {title}"}
                for key, title in titles.items()
                if key not in left_out
            ],
        )
        for part, titles in (("How it learned", LEARNED), ("How good it is", MEASURED))
    ]


def _interval(run: Run) -> dict[str, str]:
    """Where the interval lies on a line from a round number below it to 100 %, as CSS percentages."""
    start = max(share for share in (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.995) if share <= run.claim.low)
    place = [100 * (share - start) / (1 - start) for share in (run.claim.low, run.claim.accuracy, run.claim.high)]
    return {
        "from": f"{start:.1%}".replace(".0%", "%"),
        "left": f"{place[0]:.2f}",
        "point": f"{place[1]:.2f}",
        "width": f"{place[2] - place[0]:.2f}",
    }


def _honesty(run: Run) -> dict[str, Any]:
    """What speaks against the model, and what its numbers are to be held against."""
    return {
        "caveats": caveats(run.exam.claim, run.exam.calibration, run.splits.classes),
        "no_better_than_chance": no_better_than_chance(run.exam.claim),
        "baseline": baseline_in_words(run.exam.claim, run.splits.classes),
        "calibration": calibration_in_words(run.exam.calibration),
    }


def _listed(value: object) -> object:
    """A setting, in one line where it has parts."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_listed(part)}" for key, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else short(str(value), MAX_SETTING)


def _circumstances(where: Circumstances) -> list[tuple[str, object]]:
    """What is recorded of the machine, a line each."""
    return [
        (name.replace("_", " "), " ".join(value) if isinstance(value, tuple) else value)
        for name, value in where
        if value not in (None, ())
    ]


def _tables(run: Run) -> list[tuple[str, list[tuple[str, object]]]]:
    training = run.training
    asked = {key: value for key, value in training.asked.items() if value}
    versions = {**training.libraries, "source revision": training.source_revision or "unknown"}
    splits = {name: f"{split.size:,} examples, SHA-256 {split.digest}" for name, split in training.splits.items()}
    return [
        ("What was asked for", [(key, _listed(value)) for key, value in asked.items()]),
        ("The recipe that it came to", [(key, _listed(value)) for key, value in asdict(run.recipe).items()]),
        ("Where it was fitted", _circumstances(training.circumstances)),
        ("Data", [("all splits", f"SHA-256 {training.data_digest}"), *splits.items()]),
        ("Versions", list(versions.items())),
    ]
