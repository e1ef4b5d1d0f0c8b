"""How many bytes may wait in a worker, over all its models, so that none of them shuts out another."""


class Budget:
    """A number of bytes, of which each model takes a share.

    With M models each may always hold its M-th part. It may hold more while the others could still fill theirs, and one
    request alone whatever its size, or a request larger than the part would never be taken.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._shares: set[Share] = set()

    def share(self) -> "Share":
        """Another model's."""
        share = Share(self)
        self._shares.add(share)
        return share

    def forget(self, share: "Share") -> None:
        """A model that takes no more; what it holds it still gives back."""
        self._shares.discard(share)

    def has_room(self, share: "Share", count: int) -> bool:
        """Whether so many more bytes may be held there."""
        part = self.total_bytes // max(1, len(self._shares))
        if not share.held or share.held + count <= part:
            return True
        others = [other.held for other in self._shares if other is not share]
        return share.held + count + sum(max(held, part) for held in others) <= self.total_bytes


class Share:
    """What one model holds of a budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0
        """Bytes."""

    def take(self, count: int) -> bool:
        """Holds so many bytes more, if there is room for them."""
        if not self._budget.has_room(self, count):
            return False
        self.held += count
        return True

    def give_back(self, count: int) -> None:
        """The opposite."""
        self.held -= count

    def end(self) -> None:
        """The model takes no more."""
        self._budget.forget(self)

    def __str__(self) -> str:
        return f"{self.held:,} bytes of this model wait, of {self._budget.total_bytes:,} that may over all models"
