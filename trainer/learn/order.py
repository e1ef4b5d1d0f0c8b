"""Which images an epoch goes through, and in what order.

Without focus all of them, equally often. With it, images that were answered easily the last time are skipped for the
others: an epoch has as many images as ever, but the hard ones come several times, each time as another variant.
"""

from typing import Any

import torch
from torch import Tensor

from vouch.trainer.learn.processes import CPU, Processes


class Order:
    """The order of the fit images, epoch by epoch."""

    def __init__(self, count: int, focus: float, passes: int = 1, device: torch.device = CPU) -> None:
        """
        Args:
            count: N, the number of fit images.
            focus: the chance, from 0 to below 1, that an image whose loss was below the mean is skipped.
            passes: how often an epoch goes through them.
            device: where losses come from; they are added up there, so that no step waits for it.
        """
        self.count, self.focus, self._device = count, focus, device
        self.images = count * passes
        """Of an epoch."""
        self.losses = torch.zeros(count)
        """The last known loss of each image; all the same until they are known, so that none is skipped."""
        self._sums, self._times = self._none_seen()

    def _none_seen(self) -> tuple[Tensor, Tensor]:
        return torch.zeros(self.count, device=self._device), torch.zeros(self.count, device=self._device)

    def rows(self, generator: torch.Generator) -> Tensor:
        """The rows of the next epoch, int64, shape (`images`,)."""
        easy = self.losses < self.losses.mean()
        passes: list[Tensor] = []
        while sum(map(len, passes)) < self.images:
            rows = torch.randperm(self.count, generator=generator)
            if self.focus:
                stands_back = easy[rows] & (torch.rand(self.count, generator=generator) < self.focus)
                rows = rows[~stands_back]
            passes.append(rows)
        return torch.cat(passes)[: self.images]

    def saw(self, rows: Tensor, losses: Tensor) -> None:
        """Takes note of the losses of some images, shape (n,) both, on the device; one may stand in it twice."""
        if self.focus:
            self._sums.index_add_(0, rows, losses.detach())
            self._times.index_add_(0, rows, torch.ones(len(rows), device=self._device))

    def end_epoch(self, processes: Processes) -> None:
        """From now on the losses of this epoch are the last known, those that other processes saw too."""
        if self.focus:
            sums, times = processes.total(self._sums).cpu(), processes.total(self._times).cpu()
            self.losses = torch.where(times > 0, sums / times.clamp(min=1), self.losses)
            self._sums, self._times = self._none_seen()

    def state_dict(self) -> dict[str, Any]:
        """What is known of the images."""
        return {"losses": self.losses, "sums": self._sums, "times": self._times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self.losses = state["losses"]
        self._sums, self._times = (state[name].to(self._device) for name in ("sums", "times"))
