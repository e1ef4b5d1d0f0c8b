import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.digits_model import FIT, digits, publish_digits
from tests.support.photos import publish_photos
from tests.support.tiny import publish_tiny
from vouch.bundle.errors import InvalidBundle
from vouch.bundle.store import ModelsFolder
from vouch.server.page import examples as module
from vouch.server.page.examples import RIGHT, WRONG, choose


def test_one_right_answer_to_each_class_and_some_wrong_ones(tmp_path: Path) -> None:
    """By their numbers in the split, with what was claimed of them."""
    chosen = choose(publish_digits(ModelsFolder(tmp_path)))
    right = [one for one in chosen.values() if one.labels == one.answers]
    images, labels = (array[FIT:] for array in digits())

    assert sorted(one.labels for one in right) == [(str(digit),) for digit in range(10)]
    assert len(chosen) - len(right) == WRONG
    for number, one in chosen.items():
        assert one.labels == (str(labels[number]),)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(one.content))), images[number])


def test_few_classes_have_several_each(tmp_path: Path) -> None:
    """Four classes share the room; files are as they came, whatever they are."""
    chosen = choose(publish_photos(ModelsFolder(tmp_path)))
    of_each = [one.labels for one in chosen.values()]

    assert max(map(of_each.count, of_each)) == RIGHT // 4
    assert {one.content_type for one in chosen.values()} == {"image/png", "image/jpeg"}


def test_large_files_are_no_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be kept in memory."""
    bundle = publish_photos(ModelsFolder(tmp_path))
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)

    assert choose(bundle) == {}


def test_several_labels_are_all_named(tmp_path: Path) -> None:
    """And no probability, as there is one a label."""
    chosen = choose(publish_tiny(ModelsFolder(tmp_path), task="multi_label"))

    assert any(len(one.labels) > 1 for one in chosen.values())
    assert {one.probability for one in chosen.values()} == {None}


def test_a_bundle_without_answers_has_no_examples(tmp_path: Path) -> None:
    """Before format 3 nothing was claimed of an image."""
    assert choose(publish_tiny(ModelsFolder(tmp_path), older=True)) == {}


def test_a_split_that_was_changed_is_not_shown(tmp_path: Path) -> None:
    """It is held against the manifest first."""
    bundle = publish_digits(ModelsFolder(tmp_path))
    (bundle.path / "validation.npz").write_bytes(b"something else")

    with pytest.raises(InvalidBundle):
        choose(bundle)
