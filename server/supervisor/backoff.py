"""How long to wait before something is tried again: twice as long each time, up to a most."""

from dataclasses import dataclass


@dataclass
class Backoff:
    """Of one thing that is tried again and again."""

    first_s: float
    most_s: float
    lasting_s: float = 60.0
    """What has gone well for so long failed for a reason of its own, and is tried again as soon as the first time."""
    tries: int = 0
    """In a row."""

    def next_s(self, went_well_s: float = 0.0) -> float:
        """The next pause.

        Args:
            went_well_s: how long it went well before it failed.
        """
        self.tries = 1 if went_well_s > self.lasting_s else self.tries + 1
        return min(self.most_s, self.first_s * 2.0 ** min(self.tries - 1, 30))
