"""A multi-label training from splits to a bundle that the client's and the server's code can count on."""

import json

import numpy as np
import onnxruntime as ort
import pytest

import vouch.trainer.run
from vouch.bundle.claims import MultiLabelClaim
from vouch.bundle.listed import CARD, REPORT
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.sources.wanted import Wanted
from vouch.trainer.choosing import Chosen
from vouch.trainer.job import train
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import Splits

NAMES = ("odd", "round", "large")


@pytest.fixture(scope="module")
def bundle(several: Splits, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The published bundle of a single layer."""
    folder = tmp_path_factory.mktemp("several")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        chosen = Chosen("digits", "linear", "of small made-up images", Wanted(), files=False)
        patch.setattr(vouch.trainer.run, "read_splits", lambda *_: (several, chosen))
        trained = train(TrainSettings(data="digits", model="linear", epochs=4, models=folder / "models", device="cpu"))
    assert trained is not None
    return trained.bundle


def probabilities_of(bundle: Bundle, images: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(bundle.read_model(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["probabilities"], {"images": images})[0]
    return found


def test_a_whole_bundle_of_several_labels_is_published(bundle: Bundle) -> None:
    """Task, labels, thresholds and claim go together on disk; card and report are there."""
    manifest = bundle.manifest
    bundle.check_files()

    assert (manifest.task, manifest.labels) == ("multi_label", NAMES)
    assert manifest.thresholds is not None
    assert isinstance(manifest.claim, MultiLabelClaim)
    assert manifest.calibration is not None
    assert manifest.calibration.coverages == ()
    assert "| round |" in bundle.read(CARD).decode()
    assert b"round" in bundle.read(REPORT)


def test_the_claim_of_whole_images_can_be_recounted(bundle: Bundle, several: Splits) -> None:
    """Image by image, with the thresholds of the manifest; a single layer gets about half of them wholly right."""
    validation, manifest = bundle.read_validation(), bundle.manifest
    assert manifest.thresholds is not None
    right = sum(
        [p >= threshold for p, threshold in zip(row, manifest.thresholds, strict=True)] == truth
        for row, truth in zip(
            probabilities_of(bundle, validation.images).tolist(), validation.labels.tolist(), strict=True
        )
    )

    np.testing.assert_array_equal(validation.labels, several.validation.labels, strict=True)
    assert (manifest.claim.correct, manifest.claim.total) == (right, len(validation))
    assert manifest.claim.accuracy.accuracy > 0.5


def test_probabilities_of_the_labels_are_their_own(bundle: Bundle) -> None:
    """They do not sum to 1."""
    sums = probabilities_of(bundle, bundle.read_validation().images).sum(axis=1)

    assert sums.min() < 0.6
    assert sums.max() > 1.5


def test_the_manifest_says_so_to_other_readers(bundle: Bundle) -> None:
    """The file has the counts of every label, and reads back."""
    content = json.loads((bundle.path / "manifest.json").read_text())

    assert np.array(content["claim"]["per_label"]).shape == (3, 2, 2)
    assert "confusion" not in content["claim"]
    assert Manifest.model_validate(content) == bundle.manifest
