"""What two versions are compared by, read from their bundles."""

from pathlib import Path

import numpy as np

from tests.support.tiny import publish_tiny, tiny_validation
from vouch.bundle.store import ModelsFolder
from vouch.bundle.validation import Validation
from vouch.server.model.compared import compared


def test_the_answers_that_a_bundle_states_are_a_bit_an_image(tmp_path: Path) -> None:
    """In the order of the split, which both versions name: 30 of 300 labels are not what the images show."""
    folder = ModelsFolder(tmp_path)
    first, second = compared(publish_tiny(folder)), compared(publish_tiny(folder))
    right = np.unpackbits(np.frombuffer(first.right, np.uint8), count=300).astype(bool)

    assert first == second
    assert first.split == folder.open("tiny", 1).manifest.validation_digest
    np.testing.assert_array_equal(right, np.arange(300) >= 30)


def test_other_images_labels_or_classes_are_another_split(tmp_path: Path) -> None:
    """What was not judged alike is not compared answer by answer; other tasks are not compared at all."""
    folder, usual = ModelsFolder(tmp_path), tiny_validation()
    one = compared(publish_tiny(folder))
    fewer = compared(publish_tiny(folder, validation=Validation(usual.images[1:], usual.labels[1:])))
    relabelled = compared(publish_tiny(folder, validation=Validation(usual.images, (usual.labels + 1) % 3)))
    several = compared(publish_tiny(folder, task="multi_label"))

    assert len({one.split, fewer.split, relabelled.split, several.split}) == 4
    assert one.classes == fewer.classes == relabelled.classes != several.classes


def test_an_older_bundle_has_its_count_alone(tmp_path: Path) -> None:
    """Formats 1 and 2 state no answers one by one: their intervals are compared."""
    folder = ModelsFolder(tmp_path)
    found = [compared(publish_tiny(folder, older=True)), compared(publish_tiny(folder, calibrated=False))]

    assert [one.right for one in found] == [b"", b""]
    assert found[0].split != ""
    assert found[0].classes == compared(publish_tiny(folder)).classes
