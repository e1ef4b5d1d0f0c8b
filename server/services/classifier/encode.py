"""Writes answers of Predict in parts, without protobuf objects: a large answer has millions of labels."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from vouch.bundle.manifest import Manifest
from vouch.bundle.wire_format import varint
from vouch.protos.vouch.v1 import classifier_pb2 as pb
from vouch.server.rpc.soon import Parts
from vouch.server.services.cost import VALUE_BYTES, AnswerSize, too_long
from vouch.server.services.label_sets import SetRule
from vouch.server.services.prediction import PROBABILITIES, Prediction, Ranking, Wishes
from vouch.server.services.predictor import Writing

PROBABILITIES_TAG = bytes([5 << 3 | 2])
SET_SIZES_TAG = bytes([6 << 3 | 2])
ENTRY_S = 60e-9
"""Seconds to write a label, on today's machines."""


class Entries:
    """The labels of a version as entries of a repeated field."""

    def __init__(self, labels: Sequence[str], entry: Callable[[str], bytes]) -> None:
        """
        Args:
            entry: encodes a label with its tag and length.
        """
        self._entries = [entry(label) for label in labels]
        sizes = sorted(map(len, self._entries))
        self._least = np.cumsum(sizes)
        self._most = np.cumsum(sizes[::-1])

    def joined(self, classes: Sequence[int]) -> bytes:
        """The entries of these classes, one after the other."""
        entries = self._entries
        return b"".join([entries[k] for k in classes])

    def least(self, top_k: int) -> int:
        """Bytes of the `top_k` shortest entries."""
        return int(self._least[top_k - 1])

    def most(self, top_k: int) -> int:
        """Bytes of the `top_k` longest entries."""
        return int(self._most[top_k - 1])


class Labels:
    """The labels of one version, for both fields that contain them."""

    def __init__(self, manifest: Manifest) -> None:
        self.best = Entries(manifest.labels, lambda label: pb.PredictResponse(labels=[label]).SerializeToString())
        self.members = Entries(
            manifest.labels, lambda label: pb.PredictResponse(set_labels=[label]).SerializeToString()
        )


def wishes_of(manifest: Manifest, top_k: int, sets: SetRule | None) -> Wishes:
    """What Predict needs of a prediction; `top_k` 0 counts as 1, and is limited to the model's classes."""
    return Wishes((Ranking(PROBABILITIES, min(top_k or 1, len(manifest.labels))),), sets)


def predict_writing(manifest: Manifest, labels: Labels, wishes: Wishes, images: int, max_bytes: int) -> Writing:
    """How answers to this number of images are written; they are never longer than `max_bytes`."""
    top_k = wishes.rankings[0].top_k
    head = pb.PredictResponse(model=manifest.name, version=manifest.version, top_k=top_k).SerializeToString()
    before_probabilities = PROBABILITIES_TAG + varint(VALUE_BYTES * images * top_k)
    fixed = len(head) + len(before_probabilities) + VALUE_BYTES * images * top_k
    best, members = labels.best, labels.members

    def write(predictions: Iterable[Prediction]) -> Parts:
        labels, size = [head], fixed
        values: list[bytes | memoryview] = [before_probabilities]
        set_sizes: list[int] = []
        set_labels: list[bytes] = []
        for _, (ranked,), sets in predictions:
            labels.append(best.joined(ranked.classes))
            values.append(ranked.values.data.cast("B"))
            size += len(labels[-1])
            if sets is not None:
                set_sizes += sets.sizes
                set_labels.append(members.joined(sets.classes))
                size += len(sets.sizes) + len(set_labels[-1])
            if size > max_bytes:
                raise too_long(max_bytes)
        parts: Parts = (*labels, *values)
        return parts if not set_sizes else (*parts, _packed(SET_SIZES_TAG, set_sizes), *set_labels)

    most = fixed + images * best.most(top_k)
    entries = images * top_k
    if wishes.sets is not None:
        entries += images * len(manifest.labels)
        most += images * (members.most(len(manifest.labels)) + 3) + 10
    least = AnswerSize(fixed + images * best.least(top_k), most, f"top_k={top_k}")
    return Writing(write, least, entries * ENTRY_S)


def _packed(tag: bytes, numbers: list[int]) -> bytes:
    """A repeated field of small numbers."""
    content = bytes(numbers) if max(numbers) < 0x80 else b"".join(map(varint, numbers))
    return tag + varint(len(content)) + content
