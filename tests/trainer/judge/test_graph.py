import numpy as np
import onnxruntime as ort
import pytest
import torch

from vouch.bundle.accuracy import wilson_interval
from vouch.bundle.claims import Claim, MultiLabelClaim
from vouch.trainer.judge.export import export
from vouch.trainer.judge.graph import answers, count_claim, run_graph
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.splits.split import Splits


def test_the_claim_is_a_naive_count(graph: bytes, splits: Splits) -> None:
    """Asked one image at a time, the exported graph gives exactly the claimed count, cell by cell."""
    images, labels = splits.validation.images, splits.validation.labels
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    confusion = [[0] * 10 for _ in range(10)]
    for image, label in zip(images, labels.tolist(), strict=True):
        (probabilities,) = session.run(["probabilities"], {"images": image[None]})
        confusion[label][int(np.argmax(probabilities[0]))] += 1
    claim = count_claim(answers(graph, images), labels)
    assert isinstance(claim, Claim)
    correct = sum(confusion[k][k] for k in range(10))

    assert claim.confusion.as_rows(10).tolist() == confusion
    assert (claim.correct, claim.total) == (correct, len(labels))
    assert (claim.low, claim.high) == wilson_interval(correct, len(labels))
    assert 0.9 < claim.accuracy.accuracy < 1


@pytest.mark.parametrize("count", [1, 255, 256, 257])
def test_every_image_is_counted_once(graph: bytes, splits: Splits, count: int) -> None:
    """Whether or not the images fill the last run, each is counted."""
    part = splits.validation[:count]

    assert count_claim(answers(graph, part.images), part.labels).total == count


def test_wrong_labels_lower_the_claim(graph: bytes, splits: Splits) -> None:
    """The claim is against the labels: where all are replaced by another class, no right answer stays right."""
    images, labels = splits.validation.images, splits.validation.labels
    claim = count_claim(answers(graph, images), labels)
    moved = count_claim(answers(graph, images), (labels + 1) % 10)
    assert isinstance(claim, Claim)

    assert moved.correct == sum(row[(k + 1) % 10] for k, row in enumerate(claim.confusion.as_rows(10)))
    assert moved.correct < 0.1 * claim.correct


def test_a_batch_has_a_row_an_image(graph: bytes, noise: np.ndarray) -> None:
    """Running a batch gives the probabilities of each of its images, in order."""
    together = run_graph(graph, noise)

    assert together.shape == (64, 10)
    assert together.dtype == np.float32
    np.testing.assert_allclose(run_graph(graph, noise[::-1].copy())[::-1], together, atol=1e-6)


def test_several_labels_are_counted_from_their_thresholds_on(noise: np.ndarray) -> None:
    """An image is right when every label is on its side of its threshold, as one that is asked alone shows."""
    torch.manual_seed(0)
    classifier = Classifier("linear", (8, 8), classes=3, task="multi_label")
    classifier.see_statistics([torch.from_numpy(noise)])
    probabilities = answers(export(classifier.eval(), (8, 8)), noise)
    labels = probabilities > 0.5
    labels[:20, 1] ^= True
    claim = count_claim(probabilities, labels, (0.5, 0.5, 0.25))
    right = [
        all((p >= threshold) == present for p, threshold, present in zip(row, (0.5, 0.5, 0.25), truth, strict=True))
        for row, truth in zip(probabilities.tolist(), labels.tolist(), strict=True)
    ]

    assert isinstance(claim, MultiLabelClaim)
    assert (claim.correct, claim.total) == (sum(right), 64)
    assert 0 < claim.correct < 44
    assert sum(claim.per_label[1][truth][1 - truth] for truth in (0, 1)) == 20
