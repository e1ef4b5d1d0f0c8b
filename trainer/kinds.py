"""The words in which a training is asked for, wherever they come from."""

from typing import Literal

ModelKind = Literal["linear", "mlp", "cnn"]
RecipeName = Literal["default", "best"]
Quantize = Literal["none", "int8"]
Device = Literal["auto", "cpu", "cuda"]
