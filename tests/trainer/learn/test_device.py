import pytest
import torch

from vouch.trainer.errors import TrainError
from vouch.trainer.learn.device import choose_device, explained_memory

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


def test_the_cpu_is_always_there() -> None:
    """The CPU can be asked for anywhere; auto takes CUDA exactly where there is one."""
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto") == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused() -> None:
    """Who asks for CUDA gets CUDA or an error, never the CPU in silence."""
    with pytest.raises(TrainError, match="--device cuda was requested"):
        choose_device("cuda")


@pytest.mark.parametrize(
    ("device", "error", "words"),
    [
        (CUDA, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "the GPU has too little memory"),
        (CUDA, RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling it"), "or --device cpu"),
        (
            CPU,
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "the machine has too little memory",
        ),
        (CPU, MemoryError(), "a smaller --batch-size, a smaller --size"),
    ],
)
def test_too_little_memory_is_a_sentence(device: torch.device, error: Exception, words: str) -> None:
    """With what to do, whoever found it out."""
    with pytest.raises(TrainError, match=words), explained_memory(device):
        raise error


def test_other_errors_are_not_explained_away() -> None:
    """A bug of ours stays one."""
    with pytest.raises(RuntimeError, match="shapes differ"), explained_memory(CUDA):
        raise RuntimeError("shapes differ")
