"""The device that fits: which one it is, how a tensor gets there, what is said where its memory does not suffice."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from vouch.trainer.errors import TrainError
from vouch.trainer.kinds import Device

NO_MEMORY = ("DefaultCPUAllocator", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""In the sentences of errors of torch that have no type of their own."""


def choose_device(wanted: Device) -> torch.device:
    """
    Raises:
        TrainError: cuda was asked for and is not available; never falls back in silence.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise TrainError(f"--device cuda was asked for, but torch {torch.__version__} finds no CUDA device here")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; a GPU is not waited for, which it is where memory could be paged out meanwhile."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@contextmanager
def explained_memory(device: torch.device) -> Iterator[None]:
    """
    Raises:
        TrainError: the block needed more memory than the device has left.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as err:
        known = isinstance(err, torch.OutOfMemoryError | MemoryError) or any(sign in str(err) for sign in NO_MEMORY)
        if not known:
            raise
        other = ", or --device cpu" if device.type == "cuda" else ""
        raise TrainError(
            f"the memory of the {'GPU' if device.type == 'cuda' else 'machine'} does not suffice: pass a smaller "
            f"--batch-size, a smaller --size{other} ({str(err).partition(chr(10))[0][:200]})"
        ) from err
