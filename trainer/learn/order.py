"""Which images an epoch goes through, and in what order.

Without focus all of them, once. With it, images that were answered easily the last time stand back for the others: an
epoch has as many images as ever, but the hard ones come several times, each time as another variant.
"""

import torch
from torch import Tensor

from vouch.trainer.learn.processes import Processes


class Order:
    """The order of the fit images, epoch by epoch."""

    def __init__(self, count: int, focus: float) -> None:
        """
        Args:
            count: N, the number of fit images.
            focus: the chance, from 0 to below 1, that an image whose loss was below the mean stands back.
        """
        self.count, self.focus = count, focus
        self.losses = torch.zeros(count)
        """The last known loss of each image; all the same until they are known, so that none stands back."""
        self._sums, self._times = torch.zeros(count), torch.zeros(count)

    def rows(self, generator: torch.Generator) -> Tensor:
        """The rows of the next epoch, int64, shape (N,)."""
        easy = self.losses < self.losses.mean()
        passes: list[Tensor] = []
        while sum(map(len, passes)) < self.count:
            rows = torch.randperm(self.count, generator=generator)
            if self.focus:
                stands_back = easy[rows] & (torch.rand(self.count, generator=generator) < self.focus)
                rows = rows[~stands_back]
            passes.append(rows)
        return torch.cat(passes)[: self.count]

    def saw(self, rows: Tensor, losses: Tensor) -> None:
        """Takes note of the losses of some images, shape (n,) both; an image may stand in it twice."""
        if self.focus:
            self._sums.index_add_(0, rows, losses.detach().cpu())
            self._times.index_add_(0, rows, torch.ones(len(rows)))

    def end_epoch(self, processes: Processes) -> None:
        """From now on the losses of this epoch are the last known, those that other processes saw too."""
        if self.focus:
            sums, times = processes.total(self._sums), processes.total(self._times)
            self.losses = torch.where(times > 0, sums / times.clamp(min=1), self.losses)
            self._sums, self._times = torch.zeros(self.count), torch.zeros(self.count)
