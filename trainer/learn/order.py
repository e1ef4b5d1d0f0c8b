"""The images of an epoch and their order.

Without focus all images are used equally often. With it, images with a low loss the last time are often skipped: an
epoch has the same number of images, but hard ones occur several times, each time as another variant.
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
            focus: the probability, from 0 to below 1, that an image whose loss was below the mean is skipped.
            passes: passes over the images per epoch.
            device: where losses are computed; they are summed there, so that no step waits.
        """
        self.count, self.focus, self._device = count, focus, device
        self.images = count * passes
        """Number of images per epoch."""
        self.losses = torch.zeros(count)
        """The last known loss of each image; equal until they are known, so that none is skipped."""
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
        """Records the losses of some images, shape (n,) both, on the device; an image may occur twice."""
        if self.focus:
            self._sums.index_add_(0, rows, losses.detach())
            self._times.index_add_(0, rows, torch.ones(len(rows), device=self._device))

    def end_epoch(self, processes: Processes) -> None:
        """Makes the losses of this epoch, from all processes, the last known ones."""
        if self.focus:
            sums, times = processes.total(self._sums).cpu(), processes.total(self._times).cpu()
            self.losses = torch.where(times > 0, sums / times.clamp(min=1), self.losses)
            self._sums, self._times = self._none_seen()

    def state_dict(self) -> dict[str, Any]:
        """The known losses."""
        return {"losses": self.losses, "sums": self._sums, "times": self._times}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state."""
        self.losses = state["losses"]
        self._sums, self._times = (state[name].to(self._device) for name in ("sums", "times"))
