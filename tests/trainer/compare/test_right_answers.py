from pathlib import Path

import numpy as np
import pytest

from tests.support.tiny import publish_tiny, several_validation, tiny_graph, tiny_validation
from vouch.bundle.errors import BundleError
from vouch.bundle.listed import MODEL
from vouch.bundle.store import ModelsFolder
from vouch.bundle.validation import Validation
from vouch.trainer.compare.right_answers import right_answers
from vouch.trainer.errors import TrainError


@pytest.fixture
def folder(tmp_path: Path) -> ModelsFolder:
    return ModelsFolder(tmp_path / "models")


@pytest.mark.parametrize("older", [False, True])
def test_every_image_is_right_or_wrong_as_was_made_up(folder: ModelsFolder, older: bool) -> None:
    """The first 30 labels are not what the images show, all others are; by answers or graph."""
    found = right_answers(publish_tiny(folder, older=older))

    assert list(found.by_example.values()) == [False] * 30 + [True] * 270
    assert (found.counted.correct, found.counted.total) == (270, 300)


def test_with_several_labels_all_must_be_right(folder: ModelsFolder) -> None:
    """The first 30 images have a label too many or too few; one with the same pixels is known by all its labels."""
    found = right_answers(publish_tiny(folder, task="multi_label"))
    truth = several_validation().labels
    labels = ("first", "second", "third")
    names = [tuple(name for name, has in zip(labels, row, strict=True) if has) for row in truth.tolist()]

    assert list(found.by_example.values()) == [False] * 30 + [True] * 270
    assert [of_image for _, of_image, _ in found.by_example] == names


def test_an_image_that_is_there_twice_counts_twice(folder: ModelsFolder) -> None:
    """As in the claim; the same pixels under another label are another example."""
    whole = tiny_validation()
    rows = np.array([50, 50, 60])
    images, labels = whole.images[rows], whole.labels[rows]
    images[2], labels[2] = images[0], (labels[0] + 1) % 3
    found = right_answers(publish_tiny(folder, validation=Validation(images, labels)))

    assert [(times, right) for (_, _, times), right in found.by_example.items()] == [(0, True), (1, True), (0, False)]
    assert found.counted.total == 3


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (b"no graph", r"model\.onnx cannot be run: "),
        (tiny_graph(inputs="pictures"), r"model\.onnx cannot be run: "),
    ],
)
def test_a_graph_that_does_not_run_is_said(folder: ModelsFolder, graph: bytes, message: str) -> None:
    """In a line, whether it cannot be read or takes something else."""
    with pytest.raises(TrainError, match=message) as error:
        right_answers(publish_tiny(folder, graph=graph, older=True))

    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (np.zeros((300, 2), np.float32), r"probabilities of shape \(300, 2\); expected \(300, 3\)"),
        (np.full((300, 3), np.nan, np.float32), "probabilities that are not finite"),
    ],
)
def test_answers_that_are_none_are_not_counted(
    folder: ModelsFolder, monkeypatch: pytest.MonkeyPatch, answered: np.ndarray, message: str
) -> None:
    """A probability short, or no number, would still have a largest one."""
    monkeypatch.setattr("vouch.trainer.compare.right_answers.answers", lambda graph, images: answered)

    with pytest.raises(TrainError, match=message):
        right_answers(publish_tiny(folder, older=True))


def test_answers_that_a_bundle_holds_need_no_graph(folder: ModelsFolder) -> None:
    """What was trained for another processor, or a library that is not here, can be compared too."""
    found = right_answers(publish_tiny(folder, graph=b"no graph"))

    assert (found.counted.correct, found.counted.total) == (270, 300)


def test_a_changed_graph_is_not_run(folder: ModelsFolder) -> None:
    """The hash of the manifest comes first."""
    bundle = publish_tiny(folder, older=True)
    (bundle.path / MODEL).write_bytes(b"no graph")

    with pytest.raises(BundleError, match="bytes; its manifest states"):
        right_answers(bundle)
