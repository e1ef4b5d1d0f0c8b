"""Who judges which training, as a table."""

from typing import Any, cast

import numpy as np
import pytest

from vouch.sources.examples import Examples, Source
from vouch.sources.split_names import SplitName
from vouch.trainer.choosing import Chosen
from vouch.trainer.judging import judging, sensible_share
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import make_splits

pytestmark = pytest.mark.usefixtures("no_settings")


def source(**sizes: int) -> Source:
    """Noise of two classes, in splits of these sizes."""
    random = np.random.default_rng(0)
    splits = {
        cast(SplitName, name): Examples(random.integers(0, 256, (count, 4, 4), dtype=np.uint8), np.arange(count) % 2)
        for name, count in sizes.items()
    }
    return Source("made", ("cat", "dog"), splits)


def chosen(preset: Any = "digits", model: Any = "cnn") -> Chosen:
    return Chosen(preset, model, "asked for", TrainSettings().decoding, files=False)


@pytest.mark.parametrize(
    ("words", "how", "sizes", "processes", "reason"),
    [
        ({}, chosen(), {"all": 100}, 1, ""),
        ({}, chosen(), {"fit": 4_999, "validation": 9}, 1, ""),
        ({}, chosen("backbone", "backbone"), {"fit": 243, "validation": 153}, 1, ""),
        ({}, chosen("photos", "mlp"), {"all": 100}, 1, ""),
        ({}, chosen(), {"all": 6_250}, 1, "with 5,000 images or more"),
        ({}, chosen(model="linear"), {"all": 6_250}, 1, ""),
        ({}, chosen("backbone", "backbone"), {"all": 25_000}, 1, "with 20,000 images or more"),
        ({}, chosen(), {"fit": 90, "tune": 5, "validation": 9}, 1, "the data has one"),
        ({"tune_share": 0.1}, chosen(), {"all": 100}, 1, "--tune-share"),
        ({"best_epoch": True}, chosen(), {"all": 100}, 1, "--best-epoch"),
        ({"fine_tune": True}, chosen("backbone", "backbone"), {"all": 100}, 1, "--fine-tune"),
        ({}, chosen(), {"all": 100}, 2, "several processes"),
        ({}, chosen("photos"), {"all": 100}, 1, "from scratch"),
    ],
)
def test_folds_judge_few_images_unless_something_stands_against_it(
    words: dict[str, Any], how: Chosen, sizes: dict[str, int], processes: int, reason: str
) -> None:
    """Then a tune split does, and the reason is said."""
    found = judging(TrainSettings(**words), how, source(**sizes), processes)

    assert (found.tune_share is None) == (reason == "")
    assert (reason or "none is set aside") in found.sentence


@pytest.mark.parametrize(
    ("pool", "images"), [(50, 10), (500, 100), (2_000, 400), (4_000, 400), (8_000, 400), (60_000, 3_000)]
)
def test_a_tune_split_has_a_sensible_size(pool: int, images: int) -> None:
    """400 images, where these are not more than a fifth, or 5 %."""
    assert round(pool * sensible_share(pool)) == images


@pytest.mark.parametrize("sizes", [{"all": 100}, {"fit": 80, "validation": 20}])
def test_without_a_tune_split_all_but_validation_is_learned(sizes: dict[str, int]) -> None:
    """The three are as ever, tune without an image; its name is not among those that there are."""
    splits = make_splits(source(**sizes), None, 0.2, seed=0, allow_duplicates=False)

    assert (len(splits.fit), len(splits.tune), len(splits.validation)) == (80, 0, 20)
    assert splits.digests().keys() == splits.by_name.keys() == {"fit", "validation"}
