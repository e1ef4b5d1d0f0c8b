"""The page: the story and the measurements, in one self-contained HTML file."""

from dataclasses import replace
from functools import cache
from math import log
from pathlib import Path
from typing import Any

import jinja2
from torch import nn

from vouch.bundle.caveats import baseline_in_words, calibration_in_words, caveats, no_better_than_chance
from vouch.bundle.training import Augmentation
from vouch.cli.printable import printable
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.frozen import FrozenClassifier
from vouch.trainer.learn.networks import Linear as SingleLayer
from vouch.trainer.report.contents import contents
from vouch.trainer.report.finished import Run
from vouch.trainer.report.frozen import learned_frozen
from vouch.trainer.report.learned import VARIANT, learned
from vouch.trainer.report.measured import gallery, measured
from vouch.trainer.report.one_weight import one_weight
from vouch.trainer.report.pictures import image_tile, is_photograph
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import Story, tell
from vouch.trainer.report.tables import tables
from vouch.trainer.report.wording import count, listed, seconds, sentence, share, short, signed, speed

MAX_BYTES = 3_000_000
"""Every other picture has its own limit; the rest of this is for the images of the confusion matrix."""
MAX_CLASS_NAME = 100
"""Characters that are shown of a class's name."""
GALLERY_SIZES = (1200, 600, 300, 150, 0)
"""Number of images in the confusion matrix's cells; fewer if the page would be too large."""
TEMPLATES = Path(__file__).parent / "template"
KINDS = {
    "backbone": "A linear layer on a frozen backbone",
    "linear": "A single layer of weights",
    "mlp": "A network with hidden layers",
    "cnn": "A convolutional network",
}
OPTIMIZERS = {"sgd": "stochastic gradient descent", "adamw": "AdamW", "muon": "Muon and AdamW"}
CHANNELS = {2: ("grey", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
"""Number of channels -> their names; a single one needs none."""
VARIATIONS = {
    "rotation": "turned",
    "shift": "shifted",
    "scaling": "stretched",
    "shear": "slanted",
    "bend": "bent",
    "zoom": "seen from nearer",
    "flip": "mirrored (every other one)",
    "colour": "changed in brightness, contrast and colour",
}
"""A setting of the variants -> what it does."""
FEW_CLASSES = 4
"""Up to this many class names fit into one line above the confusion matrix, even on a phone."""


def report_html(run: Run, recorder: Recorder) -> bytes:
    """report.html: one file under 3 MB, the same for the same run.

    Args:
        run: a finished training.
        recorder: has recorded all of its steps.

    Raises:
        TrainError: the report is too large.
    """
    run = _with_short_names(run)
    story = tell(recorder, run.classifier, run.splits, run.recipe.augment)
    template = _environment().get_template("page.html.j2")
    good = measured(run, recorder)
    words = _words(run, story) | {"contents": contents(story, run, mapped=bool(good["places"]))}
    frozen = isinstance(run.classifier, FrozenClassifier)
    told = (learned_frozen if frozen else learned)(run, recorder, story)
    titles = {section["key"]: section["title"] for _, sections in words["contents"] for section in sections}
    shared = words | {"story": told, "good": good, "frozen": frozen, "numbered": titles.__getitem__}
    shared |= {"weigh": one_weight(run)}
    for most_images in GALLERY_SIZES:
        content = printable(template.render(shared, gallery=gallery(run, most_images)), keep="\n\t").encode()
        if len(content) < MAX_BYTES:
            return content
    raise TrainError(
        f"the report has {len(content):,} bytes even without images in the confusion matrix; expected less than "
        f"{MAX_BYTES:,}, so this is a bug: nothing is published"
    )


def _with_short_names(run: Run) -> Run:
    """Shortens class names, which occur in hundreds of places and may have a thousand characters."""
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
    """Facts for the sentences of the templates."""
    single_layer = isinstance(run.classifier.network, SingleLayer)
    image = story.image
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
        "one_output": len(run.splits.classes) == 2 and not run.several,
        "mirrored": any(epoch.images >= 2 * len(run.splits.fit) for epoch in run.fitted.epochs[:2]),
        "interval": _interval(run),
        "long_names": longest > 3,
        "upright_names": longest > 3 and len(run.splits.classes) > FEW_CLASSES,
        "channels": channels,
        "variations": _variations(run.recipe.augment) if run.recipe.augment else "",
        "mean_over_channels": " The pictures show the mean over the channels." if channels else "",
        "tables": tables(run),
        **_honesty(run),
    }


def _variations(by: Augmentation) -> str:
    """How variants of an image are made, in words."""
    done = [word for name, word in VARIATIONS.items() if getattr(by, name)]
    done += [f"cut to {share(by.crop, 0)} of its sides"] if by.crop < 1 else []
    return f"{listed(done) or 'left as it is'}, a little and at random"


def _interval(run: Run) -> dict[str, str]:
    """The interval on a line from a round number below it to 100 %, as CSS percentages."""
    start = max(share for share in (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.995) if share <= run.claim.low)
    place = [100 * (share - start) / (1 - start) for share in (run.claim.low, run.claim.accuracy, run.claim.high)]
    return {
        "from": f"{start:.1%}".replace(".0%", "%"),
        "left": f"{place[0]:.2f}",
        "point": f"{place[1]:.2f}",
        "width": f"{place[2] - place[0]:.2f}",
    }


def _honesty(run: Run) -> dict[str, Any]:
    """Warnings, the baseline, and the calibration error."""
    return {
        "caveats": caveats(run.exam.claim, run.exam.calibration, run.splits.classes),
        "no_better_than_chance": no_better_than_chance(run.exam.claim),
        "baseline": baseline_in_words(run.exam.claim, run.splits.classes),
        "calibration": calibration_in_words(run.exam.calibration),
    }
