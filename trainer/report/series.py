"""A record of bounded length for runs of any length: when it is full, every second entry is removed."""

from collections.abc import Iterator
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Thinned(Generic[Entry]):
    """Evenly spaced entries; the longer the run, the larger the spacing."""

    def __init__(self, capacity: int) -> None:
        """
        Args:
            capacity: largest number of entries, at least 2, not counting the last one.
        """
        self._capacity = capacity
        self._stride = 1
        self._count = 0
        self._kept: list[Entry] = []
        self._last: Entry | None = None

    def wants_next(self) -> bool:
        """Whether the next entry would be kept beyond the one after it."""
        return self._count % self._stride == 0

    def append(self, entry: Entry) -> None:
        """Keeps every stride-th entry, and always the last one."""
        if self.wants_next():
            if len(self._kept) == self._capacity:
                self._kept = self._kept[::2]
                self._stride *= 2
            if self.wants_next():
                self._kept.append(entry)
        self._count += 1
        self._last = entry

    def __iter__(self) -> Iterator[Entry]:
        yield from self._kept
        if self._last is not None and (not self._kept or self._kept[-1] is not self._last):
            yield self._last

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def state(self) -> dict[str, int]:
        """What `restored` needs besides the entries."""
        return {"capacity": self._capacity, "stride": self._stride, "count": self._count, "kept": len(self._kept)}

    @classmethod
    def restored(cls, state: dict[str, int], entries: list[Entry]) -> "Thinned[Entry]":
        """A record from its state and its entries."""
        record = cls(state["capacity"])
        record._stride, record._count = state["stride"], state["count"]
        record._kept = entries[: state["kept"]]
        record._last = entries[-1] if entries else None
        return record
