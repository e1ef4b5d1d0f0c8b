"""The report of a linear head on a frozen backbone: what is multiplied by what, and what never changes."""

import re
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.backbones import tiny_backbone
from tests.trainer.report.page_parts import Page
from tests.trainer.report.runs import noise_splits, on_a_backbone
from vouch.trainer.learn.frozen import FrozenClassifier, Made
from vouch.trainer.report.activation import places_of
from vouch.trainer.report.covered import cover
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
    assert "Then all weights were trained further in small steps (fine-tuning)" in text
    assert "Fine-tuning changed them too" in text
    assert "it is frozen" not in text
    assert "images per second. The steps took" in text


def test_fine_tuning_that_was_not_kept_is_said(pair: tuple[Run, Recorder]) -> None:
    """The epoch that is kept is then not the last; without fine-tuning it is."""
    run, recorder = pair
    fitted, last = run.fitted, run.fitted.epochs[-1]
    tried = replace(fitted, epochs=(*fitted.epochs, replace(last, number=last.number + 1)))
    text = words(Page(report_html(replace(run, fitted=tried), recorder)))

    assert f"The weights after epoch {last.number} were kept, the last epoch of the layer alone" in text
    assert "The fine-tuning after it was no better on tune" in text
    assert f"The weights after the last epoch, {last.number}, were kept" in words(Page(report_html(run, recorder)))


def test_the_page_says_what_never_changes(pair_page: Page) -> None:
    """The backbone with its source and digest; pictures of weights and variants are left out."""
    text = words(pair_page)

    assert "The backbone is tiny (from made up; licence: unknown)." in text
    assert "0" * 64 in text
    assert "computes 5 numbers from each image, its features" in text
    assert "That makes 6 numbers, and only these are learned." in text
    assert "they are in a file that training only reads" in text
    assert not {"layers", "variants"} & set(pair_page.ids)
    assert {link[1:] for link in pair_page.links if link.startswith("#")} <= set(pair_page.ids)
    assert "there the loss on fit with its penalty is lowest" in text
    assert "images per second" not in text.lower()
    assert "nan" not in text.lower().split()


def test_the_opposite_experiment_covers_what_counts(pair: tuple[Run, Recorder], pair_page: Page) -> None:
    """Nothing of the image is covered first, then what counts most for the answer, at most half; elsewhere as much.
    Each probability is the model's own answer to the picture that is shown, and the weights stay.
    """
    run, recorder = pair
    assert isinstance(run.classifier, FrozenClassifier)
    image, before = recorder.image[0].numpy(), run.classifier.head.weight.detach().clone()
    found = places_of(run.classifier, image[None])
    assert found is not None
    with torch.no_grad():
        answer = run.classifier(recorder.image).softmax(dim=1)[0].numpy()
    made = cover(run.classifier, image, answer, found)
    parts = found.parts(0, made.k)

    assert np.array_equal(made.frames[0].image, image)
    assert made.frames[-1].places == made.elsewhere.places <= parts.size / 2
    assert [frame.called for frame in made.frames[:-1]] == [True] * (len(made.frames) - 1)
    for frame in (*made.frames, made.elsewhere):
        shares = run.classifier(torch.from_numpy(frame.image[None])).detach().softmax(dim=1)[0]
        assert frame.probability == pytest.approx(float(shares[made.k]), abs=1e-5)
    changed = (made.frames[1].image != image).any(axis=2)
    unchanged = (made.elsewhere.image != image).any(axis=2)
    assert parts[changed].min() >= np.sort(parts, axis=None)[-made.frames[1].places]
    assert parts[unchanged].max() <= np.sort(parts, axis=None)[made.elsewhere.places - 1]
    assert torch.equal(before, run.classifier.head.weight)
    assert "The model calls the first image" in words(pair_page)
    assert "The file of a backbone computes features, but no gradients." in words(pair_page)


def test_two_classes_have_one_score(pair_page: Page) -> None:
    """And one map: what speaks against one of them speaks for the other."""
    text = words(pair_page)

    assert "a positive score means bees, a negative score means ants" in text
    assert "With two classes, the score of ants is always 0." in text
    assert "With two classes, what counts against one counts for the other." in text
    assert "where" in pair_page.ids


def test_several_labels_have_a_map_each() -> None:
    """Each label has a score and a probability of its own."""
    run, recorder = on_a_backbone(noise_splits(("a", "b", "c"), (12, 10, 3), several=True))
    page = Page(report_html(run, recorder))

    assert "Every label with a high enough score is an answer." in words(page)
    assert any(alt.startswith("the image with a map of the places that count: for a") for alt in page.alts if alt)


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
    assert "What counts for the answer, and where" in words(page)
    assert "It is left out for this backbone." in words(page)
    assert "The file of this backbone gives neither." in words(page)
