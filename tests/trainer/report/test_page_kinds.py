import re
from dataclasses import replace

import pytest

from tests.trainer.report.page_parts import Page, data_of
from tests.trainer.report.runs import RECIPE, finished, noise_splits
from vouch.bundle.training import Augmentation
from vouch.trainer.kinds import ModelKind
from vouch.trainer.report.page import MAX_BYTES, report_html

ONE_EPOCH = replace(RECIPE, epochs=1)


@pytest.mark.parametrize(
    ("kind", "shape", "classes"),
    [
        ("linear", (8, 8), 2),
        ("mlp", (5, 9, 2), 3),
        ("cnn", (12, 10, 4), 21),
        ("cnn", (30, 20, 1), 2),
        ("linear", (224, 224, 3), 4),
        ("cnn", (90, 60, 3), 12),
    ],
)
def test_all_kinds_of_models_and_images_have_a_report(kind: ModelKind, shape: tuple[int, ...], classes: int) -> None:
    """Two classes or many, one to four channels, tiny or large: the page is made, and small enough."""
    names = tuple(f"class {number}" for number in range(classes))
    content = report_html(*finished(noise_splits(names, shape), kind, ONE_EPOCH))

    assert len(content) < MAX_BYTES
    assert "confusion" in Page(content).ids
    assert "nan" not in Page(content).text.lower().split()


def test_many_classes_have_a_picture_in_place_of_a_table() -> None:
    """Hundreds of classes take neither hundreds of pictures nor a square of counts."""
    names = tuple(f"{number:03d}" for number in range(500))
    run, recorder = finished(noise_splits(names, (2, 2)), recipe=replace(RECIPE, epochs=1, batch_size=500))
    content = report_html(run, recorder)

    assert len(content) < MAX_BYTES
    assert 'class="confusion' not in content.decode()
    assert "500 classes are too many" in Page(content).text
    assert 0 < len(data_of(content)["cells"]) <= 40


@pytest.fixture(scope="module")
def colour_pair() -> Page:
    """The report of a network for two classes of colour images."""
    recipe = replace(ONE_EPOCH, augment=Augmentation())
    return Page(report_html(*finished(noise_splits(("ants", "bees"), (12, 12, 3)), "cnn", recipe)))


def test_two_classes_have_one_score_and_every_sentence_says_so(colour_pair: Page) -> None:
    """One picture of weights: what speaks against the second class speaks for the first."""
    text = " ".join(colour_pair.text.split())

    assert "counts for bees counts for ants" in text
    assert "counts against it" not in text
    assert "With two classes, the score of ants is always 0." in text
    assert "divided by the sum of both (softmax;" in text
    assert "each class's score" not in text
    assert "The label stays the same: ants." in text


def test_colour_is_said_where_numbers_are_of_one_channel(colour_pair: Page) -> None:
    """A pixel has three numbers; those that are written out are the red ones, and a product names its channel."""
    text = " ".join(colour_pair.text.split())

    assert (
        "a grid of 12 \N{MULTIPLICATION SIGN} 12 pixels. Each pixel has 3 numbers from 0 to 255: red, green, blue."
        in text
    )
    assert "The table shows some red numbers, from row" in text
    assert "pixel (row, column, channel)" in text
    assert re.search(r"\d+, \d+, (red|green|blue)", text)
    assert "The pictures show the mean over the channels." in text
