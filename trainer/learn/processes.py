"""Several processes that fit one model: started by torchrun, each with its share of every batch.

torchrun starts them and ends all when one fails; DistributedDataParallel averages their gradients. Only process 0
measures, prints and publishes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from vouch.trainer.errors import TrainError

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for the others."""


BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Libraries that exchange tensors: NCCL cannot exchange tensors on the CPU, so gloo is needed too."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process among those that fit the model."""

    rank: int = 0
    """From 0."""
    count: int = 1
    on_machine: int = 1
    """Number of processes on this machine."""
    device: torch.device = CPU
    """The device of this process."""

    @property
    def leads(self) -> bool:
        """Whether this process measures, prints and publishes."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """This process's part of a batch."""
        return torch.tensor_split(rows, self.count)[self.rank]

    def total(self, value: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.count > 1:
            distributed.all_reduce(value)
        return value

    def from_leader(self, values: list[float]) -> list[float]:
        """The leading process's numbers, in every process, so that all decide by the same measurement."""
        if self.count == 1:
            return values
        agreed = torch.tensor(values, dtype=torch.float64)
        distributed.broadcast(agreed, src=0)
        said: list[float] = agreed.tolist()
        return said

    def least(self, value: float) -> float:
        """The smallest of the processes' numbers, in every process, so that all make the same decision."""
        if self.count == 1:
            return value
        agreed = torch.tensor([value], dtype=torch.float64)
        distributed.all_reduce(agreed, distributed.ReduceOp.MIN)
        return agreed.item()

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over all processes; it stays on the device, so nothing waits for it."""
        return self.total(value.detach().clone()) / self.count

    def cores(self) -> int:
        """Processor cores for this process."""
        return max(1, len(os.sched_getaffinity(0)) // self.on_machine)


ALONE = Processes()


def started_by_torchrun() -> bool:
    """Whether this process is one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun has started, connected while the block runs; without torchrun, only this process.

    Args:
        device: cpu or cuda.

    Raises:
        TrainError: the others cannot be reached, or one of them has ended.
    """
    if not started_by_torchrun():
        yield Processes(device=device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group(BACKENDS[device.type], timeout=TIMEOUT)
    except (RuntimeError, ValueError) as err:
        raise TrainError(f"the other processes of torchrun cannot be reached: {err}") from err
    try:
        on_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        yield Processes(distributed.get_rank(), distributed.get_world_size(), on_machine, device)
    except RuntimeError as err:
        if not isinstance(err, distributed.DistError) and "gloo" not in str(err):
            raise
        reason = str(err).partition("\n")[0]
        raise TrainError(f"another process of this training ended or cannot be reached: {reason}") from err
    finally:
        distributed.destroy_process_group()
