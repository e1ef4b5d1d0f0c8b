"""In which numbers a step computes: float32, or bfloat16 where the processor gains by it.

bfloat16 has float32's range with 8 bits of its 24. Products of matrices and convolutions of a step are made of it,
forwards and backwards; weights, their changes, statistics of batch norms, losses, exams and graphs stay float32.
The choice decides the bytes of a model, so it follows from the processor's instructions alone, never from a stopwatch.
"""

from collections.abc import Collection

import torch

from vouch.bundle.training import Precision
from vouch.trainer.kinds import ModelKind, PrecisionChoice

GAINS: dict[ModelKind, tuple[frozenset[str], ...]] = {"cnn": (frozenset({"amx_bf16"}),)}
"""Network -> sets of instructions, any of which is enough for bfloat16 to be the faster one. What is not in it has
lost, or was never measured: float32. `python -m benchmarks.precision` measures a processor, and prints its row:

- avx2 without AVX-512 (AMD EPYC, Zen 3): float32; the figures are in docs/decisions/training.md.
- amx_bf16 (Xeon), cnn: bfloat16. Measured on a similar network (the same kernels and channels, GELU, AdamW, 61,000
  weights, batches of 256), as "markedly faster", without a ratio; this network, and that of photographs, never was.
- amx_bf16, mlp and linear: never measured.
- avx512_bf16 without AMX (EPYC from Zen 4 on, Xeon Cooper Lake): never measured.
"""


def precision_for(asked: PrecisionChoice, model: ModelKind, flags: Collection[str]) -> Precision:
    """
    Args:
        asked: auto leaves it to the table.
        flags: the instructions of the processor that fits; none where a GPU does.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if any(needed <= set(flags) for needed in GAINS.get(model, ())) else "float32"


def computing_in(precision: Precision, device: str) -> torch.autocast:
    """What a step's forward pass runs in; the backward pass computes in the numbers that it has used."""
    # Each weight is used once a step, and copies would be shared by all threads that fit.
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)
