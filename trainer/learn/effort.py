"""How far a fit is in its schedule.

Decided by what was counted and recorded, never by a clock: a fit has to repeat.
"""

from typing import Any


class Schedule:
    """The share of the training that is done, step by step: evenly, until it is told to end early.

    An early end still needs the falling part of the rate's cycle, so the rest of it is gone through in fewer steps.
    """

    def __init__(self, steps: int) -> None:
        """
        Args:
            steps: of the whole training.
        """
        self.steps = steps
        self._since, self._from = 0, 0.0

    def progress(self, done: int) -> float:
        """From 0 to 1, after so many steps."""
        if not self._since:
            return done / self.steps
        return self._from + (1 - self._from) * (done - self._since) / (self.steps - self._since)

    def end_within(self, done: int, more: int) -> None:
        """After these steps so many more are made, instead of all that were planned."""
        self._from, self._since, self.steps = self.progress(done), done, min(self.steps, done + more)

    @property
    def early(self) -> bool:
        """Whether it was told to end early."""
        return self._since > 0

    def state_dict(self) -> dict[str, Any]:
        """Where it is."""
        return {"steps": self.steps, "since": self._since, "from": self._from}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.steps, self._since, self._from = state["steps"], state["since"], state["from"]
