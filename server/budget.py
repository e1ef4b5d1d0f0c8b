"""A worker's budget of bytes for its callers: memory is taken from it before it is allocated.

Every byte is taken for a kind of use, or for a model's queue. Each kind and each model has a reserved part; the rest is
common, first come, first served. The total never exceeds the budget. Belongs to one event loop: other threads take
nothing themselves.
"""

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Literal, Self, get_args

from vouch.server.errors import InvalidRequest, Overloaded

Kind = Literal["received", "inflated", "decoded", "decoding", "answers", "evaluated"]
QUEUED = "queued"
"""The kind for images that wait for a model."""
WORDS = {
    "received": "requests",
    "inflated": "decompressed requests",
    "decoded": "image files and their images",
    "decoding": "memory for decoding an image",
    "answers": "unwritten answers",
    "evaluated": "images of validation splits",
}
FREE_BYTES = 4096
"""Smaller amounts are not counted: counting takes time, and the number of concurrent calls is limited."""


class Budget:
    """A number of bytes, divided into shares for every kind of use and every model."""

    def __init__(self, total_bytes: int, kinds: Iterable[Kind] = ()) -> None:
        """
        Args:
            kinds: kinds of use, in addition to the models. With kinds, half of all bytes are common, each kind has a
                32nd reserved, and the models share the rest; without kinds, the models share all bytes.
        """
        self.total_bytes = total_bytes
        self.held = 0
        """Bytes in use, of all kinds."""
        self._own_part = total_bytes // 32
        self.kinds = {kind: Share(self, WORDS[kind], self._own_part) for kind in kinds}
        common = total_bytes // 2 if self.kinds else 0
        self._for_models = total_bytes - common - self._own_part * len(self.kinds)
        self._models: set[Share] = set()
        self._ended: set[Share] = set()
        """Shares of ended models that still have bytes in use."""
        self.claimed = self._own_part * len(self.kinds)
        """Bytes in use, plus what is left of the reserved parts."""

    def share(self) -> "Share":
        """A share for another model's queue."""
        share = Share(self, "images that wait for this model", 0)
        self._models.add(share)
        self._divide()
        return share

    def held_by_kind(self) -> dict[str, int]:
        """Kind -> bytes in use."""
        queued = sum(share.held for share in self._models | self._ended)
        return {**{kind: share.held for kind, share in self.kinds.items()}, QUEUED: queued}

    def forget(self, share: "Share") -> None:
        """Ends a model's share; bytes in use can still be given back."""
        self._models.discard(share)
        share.part = 0
        if share.held:
            self._ended.add(share)
        self._divide()

    def let_go(self, share: "Share") -> None:
        """Removes an ended share with no bytes in use."""
        self._ended.discard(share)

    def _divide(self) -> None:
        for share in self._models:
            share.part = self._for_models // len(self._models)
        everybody = [*self.kinds.values(), *self._models, *self._ended]
        self.claimed = sum(max(share.held, share.part) for share in everybody)


class Share:
    """A budget's share for one kind of use, or for one model's queue."""

    def __init__(self, budget: Budget, what: str, part: int) -> None:
        self._budget = budget
        self._what = what
        self.part = part
        """Reserved bytes."""
        self.held = 0
        """Bytes in use."""

    def take(self, count: int, own: int = 0) -> bool:
        """Takes more bytes; returns whether there was room for them.

        Args:
            own: bytes that the same call has in use. If no other call has any, it may use the whole budget.
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
        """As `take`, but raises if there is no room.

        Raises:
            InvalidRequest: together with the call's own bytes, they are more than the whole budget.
            Overloaded: they do not fit now; none is taken.
        """
        if not self.take(count, own):
            raise self.refusal(count, own)

    def refusal(self, count: int, own: int = 0) -> InvalidRequest | Overloaded:
        """The error for bytes that do not fit."""
        total, held = self._budget.total_bytes, self._budget.held
        if count + own > total:
            beside = f" in addition to this call's {own:,}" if own else ""
            return InvalidRequest(
                f"{count:,} bytes ({self._what}){beside} can never fit: the limit of a worker is {total:,}"
            )
        return Overloaded(
            f"{count:,} more bytes ({self._what}) do not fit now: this worker uses {held:,} bytes for its callers, "
            f"{self.held:,} of them for {self._what}, and the limit is {total:,}"
        )

    def give_back(self, count: int) -> None:
        """Gives bytes back."""
        budget, part, before = self._budget, self.part, self.held
        self.held -= count
        budget.held -= count
        if before > part:
            budget.claimed -= before - (self.held if self.held > part else part)
        if not self.held:
            budget.let_go(self)

    def end(self) -> None:
        """Ends a model's share."""
        self._budget.forget(self)


def worker_budget(total_bytes: int) -> Budget:
    """The budget of a worker, with every kind of use."""
    return Budget(total_bytes, get_args(Kind))


UNBOUNDED = worker_budget(sys.maxsize)
"""A budget without a limit."""


class Hold:
    """The bytes in use for one call, or for one request of a stream, of all kinds; `end` gives them back."""

    __slots__ = ("_budget", "_taken", "bytes")

    def __init__(self, budget: Budget = UNBOUNDED) -> None:
        self._budget = budget
        self._taken: dict[Kind, int] | None = None
        self.bytes = 0
        """Bytes in use, of all kinds."""

    @property
    def budget_bytes(self) -> int:
        """Size of the whole budget."""
        return self._budget.total_bytes

    def take(self, kind: Kind, count: int) -> None:
        """Takes more bytes, until `end`. Raises as `Share.require`; earlier bytes stay in use."""
        if not self.takes(kind, count):
            raise self.refusal(kind, count)

    def takes(self, kind: Kind, count: int) -> bool:
        """As `take`, but returns whether there was room."""
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
        """The error for bytes that do not fit."""
        return self._budget.kinds[kind].refusal(count, self.bytes)

    def cover(self, kind: Kind, count: int) -> None:
        """Takes bytes until this kind has `count` in total. Raises as `take`."""
        held = self._taken.get(kind, 0) if self._taken else 0
        if count > held:
            self.take(kind, count - held)

    def give_back(self, kind: Kind, count: int) -> None:
        """Gives some bytes back before the end."""
        if self._taken is not None:
            self._taken[kind] -= count
            self.bytes -= count
            self._budget.kinds[kind].give_back(count)

    def another(self) -> "Hold":
        """A new, empty hold on the same budget."""
        return Hold(self._budget)

    def end(self) -> None:
        """Gives all bytes back; bytes taken later need another `end`."""
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
