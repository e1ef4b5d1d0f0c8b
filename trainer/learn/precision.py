"""The number format of training steps: float32, or bfloat16 if the processor is faster with it.

bfloat16 has float32's range with 8 of its 24 bits of precision. It is used for matrix products and convolutions,
forwards and backwards; weights, updates, batch norm statistics, losses, exams and graphs stay float32.
The choice affects the bytes of a model, so it depends only on the processor's instructions, never on measured times.
"""

from collections.abc import Collection

import torch

from vouch.bundle.training import Precision
from vouch.trainer.kinds import ModelKind, PrecisionChoice

GAINS: dict[ModelKind, tuple[frozenset[str], ...]] = {"cnn": (frozenset({"amx_bf16"}),)}
"""Network -> sets of instructions, each of which makes bfloat16 faster. Everything else is slower or was never measured
and uses float32. `python -m benchmarks.precision` measures a processor, and prints its row:

- avx2 without AVX-512 (AMD EPYC, Zen 3): float32; the figures are in docs/decisions/training.md.
- amx_bf16 (Xeon), cnn: bfloat16. Measured on a similar network (the same kernels and channels, GELU, AdamW, 61,000
  weights, batches of 256), as "markedly faster", without a ratio; this network and that for photographs were never
  measured.
- amx_bf16, mlp and linear: never measured.
- avx512_bf16 without AMX (EPYC from Zen 4 on, Xeon Cooper Lake): never measured.
"""


def precision_for(asked: PrecisionChoice, model: ModelKind, flags: Collection[str]) -> Precision:
    """The number format of training steps.

    Args:
        asked: auto for the table's choice.
        flags: the instructions of the processor that fits; empty on a GPU.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if any(needed <= set(flags) for needed in GAINS.get(model, ())) else "float32"


def computing_in(precision: Precision, device: str) -> torch.autocast:
    """The context of a step's forward pass; the backward pass uses the same number formats."""
    # No cache: each weight is used once per step, and cached copies would be shared by all threads that fit.
    return torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False)
