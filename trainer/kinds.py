"""The allowed values of a training's settings."""

from typing import Literal

ModelKind = Literal["linear", "mlp", "cnn", "backbone"]
"""What learns: a network from scratch, or a linear head on the features of a frozen backbone."""
ModelChoice = Literal["auto", "linear", "mlp", "cnn"]
PresetName = Literal["digits", "small", "photos", "backbone", "best"]
PresetChoice = Literal["auto", "digits", "small", "photos", "backbone", "best"]
FitChoice = Literal["auto", "stretch", "crop", "pad"]
Quantize = Literal["none", "int8"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]
Track = Literal["none", "mlflow", "tensorboard"]
