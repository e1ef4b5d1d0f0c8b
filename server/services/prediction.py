"""What a caller requests of a prediction, and its result: values that encoders turn into messages. Knows no message.

Predictions come in pieces of some images, so that neither ranking nor writing takes long at a time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from vouch.server.model.request import Rows
from vouch.server.model.session import Outputs
from vouch.server.services.label_sets import SetRule, ranked
from vouch.server.services.ranking import Ranked, highest

PROBABILITIES = Outputs._fields.index("probabilities")
PIECE_VALUES = 1 << 16
"""Images times classes of a piece: ranking them takes about two milliseconds."""
LOOK_S, SORT_S, SET_S, IMAGE_S = 1e-9, 35e-9, 100e-9, 50e-9
"""Seconds on today's machines: per class to find the highest, to rank, and to make a label set; per image for any of
these."""


@dataclass(frozen=True)
class Ranking:
    """A request for the highest classes of an output."""

    output: int
    """Its index in `Outputs`."""
    top_k: int
    """1 to K."""


@dataclass(frozen=True)
class Wishes:
    """What is requested in addition to the raw outputs."""

    rankings: tuple[Ranking, ...] = ()
    sets: SetRule | None = None

    def seconds(self, images: int, classes: int) -> float:
        """Approximate time to compute them."""
        each = sum(LOOK_S if ranking.top_k == 1 else SORT_S for ranking in self.rankings)
        each += SET_S if self.sets else 0.0
        return images * (classes * each + IMAGE_S * len(self.rankings))


NO_WISHES = Wishes()
"""Only the raw outputs."""


class Sets(NamedTuple):
    """Label sets of some images."""

    sizes: list[int]
    """Number of labels of each image."""
    classes: list[int]
    """Indices of the labels of all images, the most probable of an image first."""


class Prediction(NamedTuple):
    """The prediction for some images of a request."""

    rows: Rows
    """As `Outputs`."""
    ranked: tuple[Ranked, ...] = ()
    """One for each requested ranking."""
    sets: Sets | None = None


Write = Callable[[Iterable[Prediction]], tuple[bytes | memoryview, ...]]
"""All pieces of a prediction -> a serialized answer in parts."""


def predict(rows: Rows, wishes: Wishes) -> Prediction:
    """A prediction in one piece."""
    if wishes is NO_WISHES:
        return Prediction(rows)
    best = tuple([highest(rows[ranking.output], ranking.top_k) for ranking in wishes.rankings])
    if wishes.sets is None:
        return Prediction(rows, best)
    probabilities = rows[PROBABILITIES]
    return Prediction(rows, best, Sets(*ranked(probabilities, wishes.sets(probabilities))))


def pieces(rows: Rows, wishes: Wishes) -> Iterator[Prediction]:
    """A prediction in several pieces, each computed when it is needed."""
    if wishes is NO_WISHES:
        yield Prediction(rows)
        return
    count, classes = rows[PROBABILITIES].shape
    images = max(1, PIECE_VALUES // classes)
    for start in range(0, count, images):
        yield predict(tuple([values[start : start + images] for values in rows]), wishes)
