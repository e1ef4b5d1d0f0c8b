"""Features of many images: the same whatever they are computed beside."""

import numpy as np
import pytest

from tests.support.backbones import FEATURES, tiny_backbone
from vouch.trainer.errors import TrainError
from vouch.trainer.learn.backbone import features as module
from vouch.trainer.learn.backbone.backbone import Backbone
from vouch.trainer.learn.backbone.features import features, places


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_PIXELS", 4 * 16 * 12)


def photos(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 12, 3), dtype=np.uint8)


def test_threads_and_batches_decide_nothing() -> None:
    """The same bytes for one thread and three, in an order that is the images'."""
    backbone, images = tiny_backbone((16, 12, 3)), photos(23)

    found = features(backbone, images)

    assert found.shape == (23, FEATURES)
    assert found.dtype == np.float32
    assert (features(backbone, images, threads=3) == found).all()
    assert (np.concatenate([features(backbone, images[row : row + 1]) for row in range(23)]) == found).all()


def test_flipped_images_are_mirrored_left_to_right() -> None:
    """The rows of each image, not the images and not top and bottom."""
    backbone, images = tiny_backbone((16, 12, 3)), photos(5)

    found = features(backbone, images, flipped=True)

    assert (found == features(backbone, np.ascontiguousarray(images[:, :, ::-1]))).all()
    assert (found != features(backbone, images)).any()


def test_features_are_the_mean_over_places() -> None:
    """So that a map of where a score came from is exact."""
    backbone, images = tiny_backbone((16, 12, 3)), photos(3)

    found = places(backbone, images)

    assert found.shape == (3, FEATURES, 16, 12)
    assert np.allclose(found.mean(axis=(2, 3)), features(backbone, images), atol=1e-5)


def test_features_that_are_no_numbers_are_refused() -> None:
    """They would end as NaN in every weight of the head."""
    with pytest.raises(TrainError, match="tiny gives features that are not finite"):
        features(tiny_backbone((16, 12, 3), factor=np.inf), photos(2))


def test_a_graph_that_does_not_load_is_no_traceback() -> None:
    """One sentence of ours, with the first line of ONNX Runtime's."""
    backbone = tiny_backbone((16, 12, 3))

    with pytest.raises(TrainError, match="cannot load the backbone's graph"):
        features(Backbone(backbone.facts, b"no graph", has_places=True), photos(2))
