"""A running epoch: its images, its progress, and its random state."""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vouch.trainer.learn.processes import Processes
from vouch.trainer.learn.seen import Seen


class UnderWay:
    """An epoch that has started and not ended."""

    def __init__(self, rows: Tensor, variants: torch.Generator, processes: Processes) -> None:
        self.rows, self.variants = rows, variants
        self.seen = Seen(processes)
        self.steps = 0
        """Number of steps made in it."""
        self.began = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """The state of the epoch; dropout uses torch's global random state."""
        return {
            "steps": self.steps,
            "seen": self.seen.state_dict(),
            "variants": self.variants.get_state(),
            "torch": torch.get_rng_state(),
            "seconds": time.perf_counter() - self.began,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        self.steps = state["steps"]
        self.seen.load_state_dict(state["seen"])
        self.variants.set_state(state["variants"])
        torch.set_rng_state(state["torch"])
        self.began -= state["seconds"]


def mixed_seed(*numbers: int) -> int:
    """A seed that differs if one of these numbers differs."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
