from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vouch.bundle.training import Precision, Recipe
from vouch.trainer.kinds import ModelKind, PrecisionChoice
from vouch.trainer.learn.loop import fit
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.precision import computing_in, precision_for
from vouch.trainer.splits.split import Splits

RECIPE = Recipe(
    epochs=5, batch_size=64, learning_rate=8e-3, optimizer="muon", muon_rate=0.06, width=16, label_smoothing=0.1
)
AMX = ("amx_bf16", "amx_tile", "avx2", "avx512_bf16", "avx512f")


@pytest.mark.parametrize(
    ("asked", "model", "flags", "expected"),
    [
        ("auto", "cnn", AMX, "bfloat16"),
        ("auto", "cnn", ("avx2", "fma"), "float32"),
        ("auto", "cnn", ("avx2", "avx512_bf16", "avx512f"), "float32"),  # nobody has measured it
        ("auto", "cnn", (), "float32"),
        ("auto", "mlp", AMX, "float32"),
        ("auto", "linear", AMX, "float32"),
        ("auto", "backbone", AMX, "float32"),
        ("float32", "cnn", AMX, "float32"),
        ("bfloat16", "linear", (), "bfloat16"),
    ],
)
def test_the_instructions_choose_unless_somebody_has(
    asked: PrecisionChoice, model: ModelKind, flags: Collection[str], expected: Precision
) -> None:
    """By the table of what was measured; all else is float32."""
    assert precision_for(asked, model, flags) == expected


def learned(splits: Splits, precision: Precision) -> Classifier:
    """A small cnn that has gone through the digits."""
    torch.manual_seed(0)
    classifier = Classifier("cnn", (8, 8), 10, Layers(16))
    fit(classifier, splits, replace(RECIPE, precision=precision))
    return classifier


def right(classifier: Classifier, splits: Splits) -> int:
    images, labels = splits.validation.images, splits.validation.labels
    with torch.no_grad():
        logits = classifier(torch.from_numpy(images[:].copy()))
    assert logits.dtype == torch.float32
    return int((logits.argmax(dim=1).numpy() == labels).sum())


def test_bfloat16_learns_as_well_and_leaves_float32(splits: Splits) -> None:
    """On any processor, where it is slow too: other weights, in float32, that answer as many images right."""
    rounded, again, exact = (learned(splits, one) for one in ("bfloat16", "bfloat16", "float32"))

    weights = [list(one.state_dict().values()) for one in (rounded, again, exact)]
    assert all(one.dtype == torch.float32 for one in weights[0] if one.is_floating_point())
    assert all(torch.equal(one, other) for one, other in zip(weights[0], weights[1], strict=True))
    assert not all(torch.equal(one, other) for one, other in zip(weights[0], weights[2], strict=True))
    assert right(exact, splits) > 0.95 * len(splits.validation)
    assert right(rounded, splits) >= right(exact, splits) - 0.01 * len(splits.validation)


class _Told(nn.Module):
    """A layer that remembers which numbers it computed in."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.told = nn.Linear(2, 2), set[torch.dtype]()

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x)
        self.told.add(found.dtype)
        return found


@pytest.mark.parametrize(("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_only_what_runs_in_it_is_rounded(precision: Precision, expected: torch.dtype) -> None:
    """It ends with the block, can be entered once more, and gradients are the weights' own float32."""
    layer, numbers = _Told(), computing_in(precision, "cpu")

    for _ in range(2):
        with numbers:
            found = layer(torch.ones(1, 2))
        assert layer.told == {expected}
    found.float().sum().backward()

    assert layer.layer.weight.grad is not None
    assert layer.layer.weight.grad.dtype == torch.float32
    assert layer.layer(torch.ones(1, 2)).dtype == torch.float32
