"""Example images of a version's validation split, with label and claimed answer: some answered right, some wrong.

They are chosen once and kept in memory as long as the version is served.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from weakref import WeakKeyDictionary

import numpy as np

from vouch.bundle.answers import names_of
from vouch.bundle.images.kinds import ending
from vouch.bundle.opening import Bundle
from vouch.bundle.validation import Piece
from vouch.server.page.png import png
from vouch.server.serving.served import Served

RIGHT, WRONG = 10, 5
"""Most examples of each kind."""
LOOKED_AT = 4096
"""Examples are chosen from this many first images of the split."""
MAX_FILE_BYTES = 1 << 20
"""Larger image files are not used as examples."""
PIECE_IMAGES, PIECE_BYTES = 256, 8 << 20
CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@dataclass(frozen=True)
class Example:
    """An image, its labels and the claimed answers."""

    number: int
    """Index in the split, from 0."""
    labels: tuple[str, ...]
    """One label; any number for a multi-label model."""
    answers: tuple[str, ...]
    probability: float | None
    """Probability of the answer; None for a multi-label model."""
    content: bytes
    """A PNG, JPEG or WebP file."""

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES[ending(self.content)]


class Examples:
    """The examples of all versions. Belongs to one event loop."""

    def __init__(self) -> None:
        self._chosen: WeakKeyDictionary[Served, asyncio.Task[dict[int, Example]]] = WeakKeyDictionary()

    async def of(self, served: Served) -> dict[int, Example]:
        """Number -> example. Raises InvalidBundle: the split is not the published one."""
        task = self._chosen.get(served)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(asyncio.to_thread(choose, served.bundle), name="choose examples")
            self._chosen[served] = task
        return await asyncio.shield(task)


def choose(bundle: Bundle) -> dict[int, Example]:
    """Chooses the first images of each class that were answered right, and the first answered wrong.

    Raises:
        InvalidBundle: the split is not the published one.
    """
    if not bundle.manifest.has_answers:
        return {}
    right, wrong = list[Example](), list[Example]()
    of_each, most_of_each = Counter[str](), max(1, RIGHT // len(bundle.manifest.labels))
    with closing(bundle.read_pieces(PIECE_IMAGES, PIECE_BYTES)) as pieces:
        for number, (piece, row) in enumerate(islice(_rows(pieces), LOOKED_AT)):
            if len(right) == RIGHT and len(wrong) == WRONG:
                break
            labels, answers = _names(piece, row, bundle.manifest.labels)
            kind, most = (right, RIGHT) if labels == answers else (wrong, WRONG)
            size, key = len(piece.images[row]), ", ".join(labels)
            enough = len(kind) == most or (kind is right and of_each[key] == most_of_each)
            if not enough and (isinstance(piece.images, np.ndarray) or size <= MAX_FILE_BYTES):
                of_each[key] += kind is right
                kind.append(_example(number, piece, row, labels, answers))
    return {one.number: one for one in (*sorted(right, key=lambda one: one.labels), *wrong)}


def _rows(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, int]]:
    return ((piece, row) for piece in pieces for row in range(len(piece)))


def _names(piece: Piece, row: int, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and answers of an image."""
    assert piece.claimed is not None  # since format 3
    return tuple(names_of(piece.labels[row], names)), tuple(names_of(piece.claimed.answers[row], names))


def _example(number: int, piece: Piece, row: int, labels: tuple[str, ...], answers: tuple[str, ...]) -> Example:
    image = piece.images[row]
    content = image if isinstance(image, bytes) else png(image)
    probabilities = piece.claimed.probabilities[row] if piece.claimed else None
    probability = float(probabilities) if probabilities is not None and not probabilities.ndim else None
    return Example(number, labels, answers, probability, content)
