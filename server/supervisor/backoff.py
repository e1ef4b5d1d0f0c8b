"""How long to wait before something is tried again: twice as long each time, up to a limit."""

from dataclasses import dataclass


@dataclass
class Backoff:
    """The pauses between the tries of one thing."""

    first_s: float
    most_s: float
    lasting_s: float = 60.0
    """After it went well for longer than this, a failure counts as the first one."""
    tries: int = 0
    """Failures in a row."""

    def next_s(self, went_well_s: float = 0.0) -> float:
        """The next pause.

        Args:
            went_well_s: how long it went well before it failed.
        """
        self.tries = 1 if went_well_s > self.lasting_s else self.tries + 1
        return min(self.most_s, self.first_s * 2.0 ** min(self.tries - 1, 30))
