"""The device that fits: chooses it, moves tensors to it, and explains errors when its memory is full."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vouch.trainer.errors import TrainError
from vouch.trainer.kinds import Device

NO_MEMORY = ("DefaultCPUAllocator", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of the messages of out-of-memory errors for which torch has no exception type."""


def choose_device(wanted: Device) -> torch.device:
    """The device to fit on.

    Raises:
        TrainError: cuda was requested but is not available; there is no silent fallback.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise TrainError(f"--device cuda was requested, but torch {torch.__version__} finds no CUDA device")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device. Copies to a GPU use pinned memory, so that the program need not wait for them."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def explained_memory(device: torch.device) -> Iterator[None]:
    """Turns out-of-memory errors of the block into a message.

    Raises:
        TrainError: the block needed more memory than the device has available.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        known = isinstance(err, torch.OutOfMemoryError | MemoryError) or any(sign in str(err) for sign in NO_MEMORY)
        if not known:
            raise
        other = ", or --device cpu" if device.type == "cuda" else ""
        raise TrainError(
            f"the {'GPU' if device.type == 'cuda' else 'machine'} has too little memory: pass a smaller --batch-size, "
            f"a smaller --size{other} ({str(err).partition(chr(10))[0][:200]})"
        ) from err
