"""The images of a split as tensors on a device, in batches: from memory, or read from a file as needed."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from vouch.sources.examples import Examples
from vouch.sources.images import Images, batch_rows, batches, rows_in_turn
from vouch.trainer.learn.device import moved
from vouch.trainer.learn.processes import CPU

SHARE_OF_DEVICE = 0.5
"""Share of a GPU's free memory: images that need no more are copied there once."""


class Pixels:
    """uint8, shape (N, H, W) or (N, H, W, C), in the order of the split."""

    def __init__(self, images: Images, device: torch.device = CPU) -> None:
        """On the CPU an array is shared, not copied."""
        self.images, self.device = images, device
        self.shape = images.shape
        self._whole = _whole(images, device)

    def __len__(self) -> int:
        return self.shape[0]

    def of_each(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """The images at these positions, one tensor for each batch; from a file, the next batch is read ahead.

        Args:
            rows: int64, on the CPU.
        """
        if self._whole is not None:
            whole = self._whole
            return (whole[moved(some, self.device)] for some in rows)
        parts = rows_in_turn(self.images, (some.numpy() for some in rows))
        return (moved(_tensor(part), self.device) for part in parts)

    def batches(self, most: int | None = None) -> Iterator[Tensor]:
        """All images in batches of bounded size.

        Args:
            most: largest number of images per batch.
        """
        if self._whole is not None:
            return iter(torch.split(self._whole, batch_rows(self.shape[1:], most=most)))
        return (_tensor(part).to(self.device) for part in batches(self.images, most=most))


def as_tensors(examples: Examples, device: torch.device = CPU) -> tuple[Pixels, Tensor]:
    """Images and labels; on the CPU they share the arrays' memory."""
    return Pixels(examples.images, device), torch.from_numpy(examples.labels).to(device)


def _whole(images: Images, device: torch.device) -> Tensor | None:
    """All images on the device, if there is enough memory; otherwise None."""
    if device.type != "cuda":
        return _tensor(images) if isinstance(images, np.ndarray) else None
    if images.nbytes > SHARE_OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
        return None
    return torch.cat([_tensor(part).to(device) for part in batches(images)])


def _tensor(images: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory, unless it is read-only or not contiguous."""
    return torch.from_numpy(np.require(images, requirements=["C", "W"]))
