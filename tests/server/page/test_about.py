from pathlib import Path

import pytest

from tests.support.digits_model import publish_digits
from tests.support.tiny import publish_tiny
from vouch.bundle.manifest import Manifest
from vouch.bundle.store import ModelsFolder
from vouch.server.page import about as module
from vouch.server.page.about import about


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return publish_digits(ModelsFolder(tmp_path)).manifest


def test_a_linear_model_says_so(manifest: Manifest) -> None:
    """And which documents there are, and on how many images it was fitted."""
    found = about(manifest, shows_images=True)

    assert (found["network"], found["fit_images"], found["report"], found["card"]) == ("linear", 1400, True, True)


def test_report_and_examples_are_offered_only_where_they_are_shown(manifest: Manifest) -> None:
    """The card has no images."""
    found = about(manifest, shows_images=False)

    assert (found["report"], found["examples"], found["card"]) == (False, False, True)


def test_the_confusion_adds_up_to_the_claim(manifest: Manifest) -> None:
    """Every image is in it once."""
    confusion = about(manifest, shows_images=True)["confusion"]

    assert confusion["whole"]
    assert sum(images for _, _, images in confusion["pairs"]) == manifest.claim.total


def test_of_many_classes_the_worst_pairs_are_told(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The most frequent first, right answers left out."""
    monkeypatch.setattr(module, "MOST_CLASSES", 9)
    monkeypatch.setattr(module, "MOST_PAIRS", 3)

    confusion = about(manifest, shows_images=True)["confusion"]
    counts = [images for _, _, images in confusion["pairs"]]

    assert not confusion["whole"]
    assert len(counts) == 3
    assert counts == sorted(counts, reverse=True)
    assert all(label != answer for label, answer, _ in confusion["pairs"])


def test_several_labels_have_no_confusion(tmp_path: Path) -> None:
    """An image with two labels is in no single row."""
    manifest = publish_tiny(ModelsFolder(tmp_path), task="multi_label").manifest

    assert about(manifest, shows_images=True)["confusion"] is None
