from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vouch.bundle.training import Recipe
from vouch.trainer.learn.circumstances import circumstances, flags_of, processor_and_flags
from vouch.trainer.learn.processes import Processes

X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 9B14
flags\t\t: fpu vme avx2 fma avx512f avx512_vnni sse

processor\t: 1
model name\t: Another
flags\t\t: fpu amx_int8
"""
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve evtstrm\nCPU part\t: 0xd40\n"


RECIPE = Recipe(epochs=1, batch_size=2, learning_rate=0.1, optimizer="sgd", threads=5)


def test_a_processor_is_its_name_and_the_instructions_that_decide(tmp_path: Path) -> None:
    """Of the first one that is listed; those by which libraries choose how to compute a sum."""
    (tmp_path / "x86").write_text(X86)
    (tmp_path / "arm").write_text(ARM)

    assert processor_and_flags(tmp_path / "x86") == ("AMD EPYC 9B14", ("avx2", "avx512_vnni", "avx512f", "fma"))
    assert processor_and_flags(tmp_path / "arm") == ("0xd40", ("asimd", "sve"))


def test_where_nothing_is_listed_the_kind_of_machine_is_named(tmp_path: Path) -> None:
    """Without the file, or with one that is no list."""
    (tmp_path / "bytes").write_bytes(bytes(range(256)) * 1000)

    for path in (tmp_path / "none", tmp_path / "bytes"):
        name, flags = processor_and_flags(path)
        assert name
        assert flags == ()


def test_where_a_fit_runs() -> None:
    """Threads and processes are those of the fit; on the processor the same bits come again."""
    here = circumstances(Processes(0, 3), RECIPE)

    assert (here.device, here.device_name, here.precision, here.deterministic) == ("cpu", None, "float32", True)
    assert (here.threads, here.processes, here.torch) == (5, 3, torch.__version__)


def test_a_gpu_is_named_and_promises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless torch was asked for deterministic algorithms; its products of matrices may be rounded."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")

    here = circumstances(Processes(device=torch.device("cuda", 0)), RECIPE)

    assert (here.device, here.device_name, here.deterministic) == ("cuda", "NVIDIA H200", False)
    assert here.precision == "tf32"
    assert flags_of(Processes(device=torch.device("cuda", 0))) == ()  # the processor's say nothing about it


def test_bfloat16_is_recorded() -> None:
    """Whoever compares two bundles sees it among what decided the bytes."""
    assert circumstances(Processes(), replace(RECIPE, precision="bfloat16")).precision == "bfloat16"
