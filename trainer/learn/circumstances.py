"""Where a fit runs: the properties of the machine and of torch that affect the last bits of its weights."""

import platform
from pathlib import Path

import torch

from vouch.bundle.training import Circumstances, Recipe
from vouch.trainer.learn.processes import Processes

CPU_INFO = Path("/proc/cpuinfo")
MAX_CPU_INFO = 1 << 16
"""Number of characters that are read; enough for the first processor's lines."""
NAMES = ("model name", "cpu model", "Model", "CPU part")
"""Keys for a processor's name, which differ by architecture."""
DECIDING = (
    *("fma", "avx2", "avx512f", "avx512_bf16", "avx512_fp16", "avx512_vnni", "avx_vnni"),
    *("amx_bf16", "amx_int8", "amx_tile", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
"""Instruction sets by which libraries choose how to compute a sum."""


def circumstances(processes: Processes, recipe: Recipe) -> Circumstances:
    """The circumstances of a fit in this process."""
    processor, flags = processor_and_flags(CPU_INFO)
    on_gpu = processes.device.type == "cuda"
    rounded = on_gpu and torch.backends.cudnn.allow_tf32 and recipe.precision == "float32"
    return Circumstances(
        processor=processor,
        flags=flags,
        device=processes.device.type,
        device_name=torch.cuda.get_device_name(processes.device) if on_gpu else None,
        threads=recipe.threads,
        processes=processes.count,
        torch=torch.__version__,
        precision="tf32" if rounded else recipe.precision,
        deterministic=not on_gpu or torch.are_deterministic_algorithms_enabled(),
    )


def flags_of(processes: Processes) -> tuple[str, ...]:
    """The instruction sets with which this process fits; none on a GPU."""
    return processor_and_flags(CPU_INFO)[1] if processes.device.type == "cpu" else ()


def processor_and_flags(path: Path) -> tuple[str, tuple[str, ...]]:
    """The processor's name, and which of the instruction sets in DECIDING it has, sorted; read from this file."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_CPU_INFO)
    except OSError:
        text = ""
    lines: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        lines.setdefault(name.strip(), value.strip())  # the first processor's
    name = next((lines[known] for known in NAMES if lines.get(known)), platform.processor() or platform.machine())
    has = set((lines.get("flags") or lines.get("Features") or "").split())
    return name[:200], tuple(sorted(has & set(DECIDING)))
