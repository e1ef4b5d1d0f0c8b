"""One budget of bytes for a worker: all that its callers make it hold, taken before it is allocated.

Everything is held under a kind, and images that wait for a model under that model. Each kind and each model has a part
that nobody else can take from it; the rest is common, and whoever comes first has it. What is held is never more than
the whole. Belongs to one event loop: other threads take nothing themselves.
"""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self, get_args

from vouch.server.errors import InvalidRequest, Overloaded

Kind = Literal["received", "inflated", "decoded", "decoding", "answers", "evaluated"]
QUEUED = "queued"
"""The kind of images that wait for a model."""
WORDS = {
    "received": "requests",
    "inflated": "compressed requests, inflated",
    "decoded": "image files and their images",
    "decoding": "what decoding an image takes",
    "answers": "answers that are not written yet",
    "evaluated": "images of validation splits",
}
FREE_BYTES = 4096
"""What is smaller is not counted: to count costs time, and the calls of a worker at once are bounded."""


class Budget:
    """A number of bytes, of which every kind of use and every model takes a share."""

    def __init__(self, total_bytes: int, kinds: Iterable[Kind] = ()) -> None:
        """
        Args:
            kinds: of use, beside the models. With any, half of all bytes are common, each kind has a 32nd for itself,
                and the models share the rest; with none, the models share all of it.
        """
        self.total_bytes = total_bytes
        self.held = 0
        """Bytes, under all kinds."""
        self._own_part = total_bytes // 32
        self.kinds = {kind: Share(self, WORDS[kind], self._own_part) for kind in kinds}
        common = total_bytes // 2 if self.kinds else 0
        self._for_models = total_bytes - common - self._own_part * len(self.kinds)
        self._models: set[Share] = set()
        self._ended: set[Share] = set()
        """Models' that take no more and still hold some."""
        self.claimed = self._own_part * len(self.kinds)
        """What is held, and what may yet be taken out of parts."""

    def share(self) -> "Share":
        """Another model's, for the images that wait for it."""
        share = Share(self, "images that wait for this model", 0)
        self._models.add(share)
        self._divide()
        return share

    def held_by_kind(self) -> dict[str, int]:
        """Kind -> bytes."""
        queued = sum(share.held for share in self._models | self._ended)
        return {**{kind: share.held for kind, share in self.kinds.items()}, QUEUED: queued}

    def forget(self, share: "Share") -> None:
        """A model that takes no more; what it holds it still gives back."""
        self._models.discard(share)
        share.part = 0
        if share.held:
            self._ended.add(share)
        self._divide()

    def let_go(self, share: "Share") -> None:
        """It holds nothing any more."""
        self._ended.discard(share)

    def _divide(self) -> None:
        for share in self._models:
            share.part = self._for_models // len(self._models)
        everybody = [*self.kinds.values(), *self._models, *self._ended]
        self.claimed = sum(max(share.held, share.part) for share in everybody)


class Share:
    """What is held of a budget by one kind of use, or by one model's queue."""

    def __init__(self, budget: Budget, what: str, part: int) -> None:
        self._budget = budget
        self._what = what
        self.part = part
        """Bytes that nobody else can take from it."""
        self.held = 0
        """Bytes."""

    def take(self, count: int, own: int = 0) -> bool:
        """Holds so many bytes more, if there is room for them.

        Args:
            own: what the same call holds already. If nobody else holds anything, whatever fits the whole may be held.
        """
        budget, part, wanted = self._budget, self.part, self.held + count
        held = budget.held + count
        if held > budget.total_bytes:
            return False
        claimed = budget.claimed
        if wanted > part:
            claimed += wanted - (self.held if self.held > part else part)
            if claimed > budget.total_bytes and held != count + own:
                return False
        self.held, budget.held, budget.claimed = wanted, held, claimed
        return True

    def require(self, count: int, own: int = 0) -> None:
        """The same.

        Raises:
            InvalidRequest: they and what the same call holds are more than the whole budget.
            Overloaded: they do not fit now; none of them is held.
        """
        if not self.take(count, own):
            raise self.refusal(count, own)

    def refusal(self, count: int, own: int = 0) -> InvalidRequest | Overloaded:
        """Why so many bytes more are not taken."""
        total, held = self._budget.total_bytes, self._budget.held
        if count + own > total:
            beside = f" beside the {own:,} that this call holds" if own else ""
            return InvalidRequest(
                f"{count:,} bytes ({self._what}){beside} can never fit: a worker holds at most {total:,} for callers"
            )
        return Overloaded(
            f"{count:,} bytes more ({self._what}) do not fit: this worker holds {held:,} bytes for its callers, "
            f"{self.held:,} of them {self._what}, and at most {total:,}"
        )

    def give_back(self, count: int) -> None:
        """The opposite of `take`."""
        budget, part, before = self._budget, self.part, self.held
        self.held -= count
        budget.held -= count
        if before > part:
            budget.claimed -= before - (self.held if self.held > part else part)
        if not self.held:
            budget.let_go(self)

    def end(self) -> None:
        """The model takes no more."""
        self._budget.forget(self)


def worker_budget(total_bytes: int) -> Budget:
    """The one that all callers of a worker share, with every kind of use."""
    return Budget(total_bytes, get_args(Kind))


UNBOUNDED = worker_budget(sys.maxsize)
"""Where nobody counts."""


class Hold:
    """What a worker holds for one call, or for one request of a stream, of every kind; all of it is given back once."""

    __slots__ = ("_budget", "_taken", "bytes")

    def __init__(self, budget: Budget = UNBOUNDED) -> None:
        self._budget = budget
        self._taken: dict[Kind, int] | None = None
        self.bytes = 0
        """Of all kinds."""

    @property
    def budget_bytes(self) -> int:
        """Of the whole budget."""
        return self._budget.total_bytes

    def take(self, kind: Kind, count: int) -> None:
        """So many bytes more, until `end`. Raises as `Share.require`; what was held before is held on."""
        if not self.takes(kind, count):
            raise self.refusal(kind, count)

    def takes(self, kind: Kind, count: int) -> bool:
        """The same; whether there was room for them."""
        if not self._budget.kinds[kind].take(count, self.bytes):
            return False
        taken = self._taken
        if taken is None:
            self._taken = {kind: count}
        else:
            taken[kind] = taken.get(kind, 0) + count
        self.bytes += count
        return True

    def refusal(self, kind: Kind, count: int) -> InvalidRequest | Overloaded:
        """Why so many bytes more are not taken."""
        return self._budget.kinds[kind].refusal(count, self.bytes)

    def cover(self, kind: Kind, count: int) -> None:
        """So many bytes of this kind in all, until `end`: what is held of it already counts. Raises as `take`."""
        held = self._taken.get(kind, 0) if self._taken else 0
        if count > held:
            self.take(kind, count - held)

    def give_back(self, kind: Kind, count: int) -> None:
        """Some of it before the end."""
        if self._taken is not None:
            self._taken[kind] -= count
            self.bytes -= count
            self._budget.kinds[kind].give_back(count)

    def another(self) -> "Hold":
        """Of the same budget, with nothing in it."""
        return Hold(self._budget)

    def end(self) -> None:
        """All of it; what is taken afterwards is given back by the next `end`."""
        if (taken := self._taken) is None:
            return
        self._taken, self.bytes = None, 0
        for kind, count in taken.items():
            self._budget.kinds[kind].give_back(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
