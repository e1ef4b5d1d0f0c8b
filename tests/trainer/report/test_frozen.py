"""The report of a linear head on a frozen backbone: what is multiplied by what, and what never changes."""

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

from tests.support.backbones import tiny_backbone
from tests.trainer.report.page_parts import Page
from tests.trainer.report.runs import noise_splits, on_a_backbone
from vouch.trainer.learn.frozen import FrozenClassifier, Made
from vouch.trainer.report.finished import Run
from vouch.trainer.report.frozen import learned_frozen
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.report.story import tell


@pytest.fixture(scope="module")
def pair() -> tuple[Run, Recorder]:
    """Two classes of colour images."""
    return on_a_backbone(noise_splits(("ants", "bees"), (66, 40, 3)))


@pytest.fixture(scope="module")
def pair_page(pair: tuple[Run, Recorder]) -> Page:
    return Page(report_html(*pair))


def words(page: Page) -> str:
    return re.sub(r"\s+", " ", page.text)


def test_the_score_is_a_sum_of_features_by_weights(pair: tuple[Run, Recorder]) -> None:
    """Before training and after it, with the bias; and the parts of all places come to the same."""
    run, recorder = pair
    story = tell(recorder, run.classifier, run.splits, None)
    told = learned_frozen(run, recorder, story)

    for part, seen in zip(told["sums"], (story.random, story.kept), strict=True):
        products = sum(term["product"] for term in part["terms"])
        assert products + part["others_sum"] + part["bias"] == pytest.approx(part["score"])
        assert part["score"] == pytest.approx(float(seen.scores[1]), abs=1e-4)
    assert told["map_sum"]["sum"] + told["map_sum"]["bias"] == pytest.approx(told["sums"][1]["score"], abs=1e-4)
    assert story.opposite is None


def test_a_tuned_backbone_is_said_to_be_tuned(pair: tuple[Run, Recorder]) -> None:
    """Its features are others in the end, and the sum is of these; nothing says that it never changed."""
    run, recorder = pair
    classifier = deepcopy(run.classifier)
    assert isinstance(classifier, FrozenClassifier)
    other = tiny_backbone(run.splits.fit.images.shape[1:], factor=1.5)
    facts = other.facts.model_copy(update={"fine_tuned": True})
    classifier.made = Made(replace(other, facts=facts), threads=1)
    tuned = replace(run, classifier=classifier)
    told = learned_frozen(tuned, recorder, tell(recorder, classifier, run.splits, None))
    text = words(Page(report_html(tuned, recorder)))

    assert told["sums"][1]["score"] == pytest.approx(float(told["kept"].scores[1]), abs=1e-4)
    assert told["map_sum"]["sum"] + told["map_sum"]["bias"] == pytest.approx(told["sums"][1]["score"], abs=1e-4)
    assert "then all of it was trained further with small rates (fine-tuning)" in text
    assert "they were tuned too" in text
    assert "neither does the network" not in text
    assert "images a second over the steps" in text


def test_fine_tuning_that_was_not_kept_is_said(pair: tuple[Run, Recorder]) -> None:
    """The epoch that is kept is then not the last; without fine-tuning it is."""
    run, recorder = pair
    fitted, last = run.fitted, run.fitted.epochs[-1]
    tried = replace(fitted, epochs=(*fitted.epochs, replace(last, number=last.number + 1)))
    text = words(Page(report_html(replace(run, fitted=tried), recorder)))

    assert f"Epoch {last.number}, the last of the layer alone, is kept" in text
    assert "fine-tuning, which came after it, was no better on tune" in text
    assert f"The last epoch, {last.number}, is kept" in words(Page(report_html(run, recorder)))


def test_the_page_says_what_never_changes(pair_page: Page) -> None:
    """The backbone with its source and digest; pictures of weights, variants and a changed image are left out."""
    text = words(pair_page)

    assert "The backbone is tiny (from made up; licence: unknown)." in text
    assert "0" * 64 in text
    assert "makes 5 numbers of each image, its features" in text
    assert "6 numbers in all: that is everything that learns" in text
    assert "lie in a graph that nothing writes to" in text
    assert not {"layers", "opposite", "variants"} & set(pair_page.ids)
    assert {link[1:] for link in pair_page.links if link.startswith("#")} <= set(pair_page.ids)
    assert "there the loss on fit with its penalty is lowest" in text
    assert "images a second" not in text.lower()
    assert "nan" not in text.lower().split()


def test_two_classes_have_one_score(pair_page: Page) -> None:
    """And one map: what speaks against one of them speaks for the other."""
    text = words(pair_page)

    assert "a positive score says bees, a negative one ants" in text
    assert "Two classes need no second score: that of ants is always 0." in text
    assert "Of two classes, what speaks against one speaks for the other." in text
    assert "where" in pair_page.ids


def test_several_labels_have_a_map_each() -> None:
    """Each label has a score and a probability of its own."""
    run, recorder = on_a_backbone(noise_splits(("a", "b", "c"), (12, 10, 3), several=True))
    page = Page(report_html(run, recorder))

    assert "every label whose score is high enough is answered" in words(page)
    assert page.alts.count("where in the image what speaks for a lies") >= 1


def test_an_image_without_a_label_has_no_probability_of_it() -> None:
    """Where an image may have several labels, or none, nothing is said of what is not there."""
    splits = noise_splits(("a", "b"), (12, 10, 3), several=True)
    labels = splits.fit.labels & (np.arange(len(splits.fit)) > 0)[:, None]
    run, recorder = on_a_backbone(replace(splits, fit=replace(splits.fit, labels=labels)))
    text = words(Page(report_html(run, recorder)))

    assert "This image has none of the labels, so every high score is wrong" in text
    assert "probability of none" not in text
    assert "counts for a" not in text


def test_without_places_there_is_no_map() -> None:
    """A backbone that says nothing of places has the story without it, and no section on where it looks."""
    page = Page(report_html(*on_a_backbone(noise_splits(("a", "b", "c"), (12, 10, 3)), places=False)))

    assert "where" not in page.ids
    assert "places of the image" not in words(page)
    assert "What speaks for it, and where" in words(page)
