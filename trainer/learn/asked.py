"""The requested parts of a recipe; without torch, because `vouch train --help` needs the settings too."""

from dataclasses import dataclass

from vouch.bundle.training import Loss
from vouch.trainer.kinds import ModelKind, PrecisionChoice, PresetName


@dataclass(frozen=True)
class Asked:
    """What was chosen by flags, or automatically. 0, or None if 0 has a meaning: the preset's value."""

    preset: PresetName = "digits"
    model: ModelKind = "cnn"
    doubtful: bool = False
    """Whether labels may be wrong; then hard images are not learned more often."""
    fine_tune: bool = False
    epochs: int = 0
    best_epoch: bool = False
    batch_size: int = 0
    learning_rate: float = 0
    loss: Loss = "cross-entropy"
    balance: bool = False
    weight_decay: float | None = None
    label_smoothing: float | None = None
    focus: float | None = None
    width: int = 0
    depth: int = 0
    dropout: float | None = None
    flip: bool | None = None
    rotation: float | None = None
    """Degrees."""
    scaling: float | None = None
    shear: float | None = None
    shift: float | None = None
    bend: float | None = None
    crop: float | None = None
    zoom: float | None = None
    colour: float | None = None
    seed: int = 0
    threads: int = 0
    precision: PrecisionChoice = "auto"
