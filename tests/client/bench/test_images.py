import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.support.serving import Serving, live
from tests.support.tiny import (
    LABELS,
    SIDE,
    THRESHOLDS,
    publish_tiny,
    several_probabilities,
    tiny_images,
    tiny_probabilities,
)
from vouch.client.bench.images import COUNT, Reference, answer_of, take_reference
from vouch.client.client import Client
from vouch.client.messages import Prediction
from vouch.sources.errors import SourceError


async def reference_of(serving: Serving, model: str = "tiny", data: str = "") -> Reference:
    def take() -> Reference:
        with Client(serving.address) as client:
            return take_reference(client, live(client.model(model)), data)

    return await asyncio.to_thread(take)


async def test_random_images_are_the_same_every_time_and_have_their_answers(serving: Serving) -> None:
    """As the model's input has it; the answer is what the tiny model answers by rights."""
    one, other = await reference_of(serving), await reference_of(serving)

    expected = [(LABELS[k],) for k in tiny_probabilities(one.images).argmax(axis=1)]
    assert one.images.shape[1:] == (SIDE, SIDE)
    assert COUNT // 2 < len(one.images) <= COUNT
    assert one.images.dtype == np.uint8
    assert list(one.answers) == expected
    assert one.distinct == len(set(expected)) == 3
    np.testing.assert_array_equal(one.images, other.images)


async def test_a_multi_label_model_answers_several(serving: Serving) -> None:
    """All labels from their thresholds on, perhaps none, in the order of their names."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))

    reference = await reference_of(serving, "several")

    assert list(reference.answers) == [
        tuple(label for label, p, threshold in zip(LABELS, row, THRESHOLDS, strict=True) if p >= threshold)
        for row in several_probabilities(reference.images)
    ]


async def test_images_of_the_users_own_come_from_all_over_the_data(serving: Serving, tmp_path: Path) -> None:
    """Data in the order of their labels give all labels."""
    images, labels = tiny_images(900)
    order = np.argsort(labels)
    np.savez(tmp_path / "own.npz", images=images[order], labels=labels[order])

    reference = await reference_of(serving, data=str(tmp_path / "own.npz"))

    known = {image.tobytes() for image in images}
    assert len(reference.images) == COUNT
    assert all(image.tobytes() in known for image in reference.images)
    assert reference.distinct == 3


async def test_few_images_are_enough(serving: Serving, tmp_path: Path) -> None:
    """Each is there once."""
    images, labels = tiny_images(3)
    np.savez(tmp_path / "own.npz", images=images, labels=labels)

    reference = await reference_of(serving, data=str(tmp_path / "own.npz"))

    np.testing.assert_array_equal(reference.images, images)


async def test_images_between_two_labels_are_left_out(serving: Serving, tmp_path: Path) -> None:
    """Which of two equal labels is answered is a matter of rounding; where all are so, they are sent all the same."""
    images, labels = tiny_images(10)
    images[4, 0] = images[4, 1] = 200
    np.savez(tmp_path / "some.npz", images=images, labels=labels)
    np.savez(tmp_path / "all.npz", images=images[[4, 4]], labels=labels[:2])

    some = await reference_of(serving, data=str(tmp_path / "some.npz"))
    none_clear = await reference_of(serving, data=str(tmp_path / "all.npz"))

    np.testing.assert_array_equal(some.images, np.delete(images, 4, axis=0))
    assert len(none_clear.images) == 2


async def test_images_at_a_threshold_are_left_out(serving: Serving, tmp_path: Path) -> None:
    """Whether a label of a probability of one half is answered from one half on is a matter of rounding."""
    serving.install(publish_tiny(serving.folder, "several", task="multi_label"))
    images = np.zeros((2, SIDE, SIDE), np.uint8)
    images[0, 0] = 112, 112, 113, 113  # the first label's logit is 0, its threshold 0.5
    np.savez(tmp_path / "own.npz", images=images, labels=np.array([0, 1]))

    reference = await reference_of(serving, "several", str(tmp_path / "own.npz"))

    np.testing.assert_array_equal(reference.images, images[1:])


async def test_data_that_are_not_there_are_said_in_the_words_of_every_command(serving: Serving) -> None:
    """One error for all commands."""
    with pytest.raises(SourceError, match="nowhere does not exist"):
        await reference_of(serving, data="nowhere")


def test_an_answer_is_a_label_or_all_labels() -> None:
    """Sorted: those of nearly the same probability may change places."""
    assert answer_of(Prediction("b", 0.9, (("b", 0.9),))) == ("b",)
    assert answer_of(Prediction("b", 0.9, (("b", 0.9),), ("b", "a"))) == ("a", "b")
    assert answer_of(Prediction("b", 0.1, (("b", 0.1),), ())) == ()
