"""What is wanted of a prediction, and what it gives: values that encoders turn into messages. Knows no message.

Predictions come in pieces of some images, so that neither ranking nor writing ever takes long at a time.
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
"""Of a piece, images times classes: ranking them takes about two milliseconds."""
LOOK_S, SORT_S, SET_S, IMAGE_S = 1e-9, 35e-9, 100e-9, 50e-9
"""What finding the highest class costs for each class, what ranking and what a label set does, and what any of these
costs for each image; on the machines of today."""


@dataclass(frozen=True)
class Ranking:
    """The highest classes of an output are wanted."""

    output: int
    """Its place among `Outputs`."""
    top_k: int
    """1 to K."""


@dataclass(frozen=True)
class Wishes:
    """What is wanted beside the outputs as they are."""

    rankings: tuple[Ranking, ...] = ()
    sets: SetRule | None = None

    def seconds(self, images: int, classes: int) -> float:
        """About what it takes to meet them."""
        each = sum(LOOK_S if ranking.top_k == 1 else SORT_S for ranking in self.rankings)
        each += SET_S if self.sets else 0.0
        return images * (classes * each + IMAGE_S * len(self.rankings))


NO_WISHES = Wishes()
"""The outputs as they are."""


class Sets(NamedTuple):
    """Label sets of some images."""

    sizes: list[int]
    """How many labels each image has."""
    classes: list[int]
    """Positions of the labels of all of them, in each the most probable first."""


class Prediction(NamedTuple):
    """Of some images of a request."""

    rows: Rows
    """As `Outputs`."""
    ranked: tuple[Ranked, ...] = ()
    """For each ranking that was wanted."""
    sets: Sets | None = None


Write = Callable[[Iterable[Prediction]], tuple[bytes | memoryview, ...]]
"""From all pieces of a prediction to a serialized answer in parts."""


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
    """The same in several, each computed when it is asked for."""
    if wishes is NO_WISHES:
        yield Prediction(rows)
        return
    count, classes = rows[PROBABILITIES].shape
    images = max(1, PIECE_VALUES // classes)
    for start in range(0, count, images):
        yield predict(tuple([values[start : start + images] for values in rows]), wishes)
