"""The peer: the widely copied PyTorch network for MNIST with its settings, with this project's data loading.

Two 3 x 3 convolutions of 32 and 64 channels, max pooling, two dense layers, dropout; Adadelta at a rate of 1 that is
multiplied by 0.7 after each epoch; batches of 64; 14 epochs. Without augmentation.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from vouch.sources.examples import Examples, Source

EPOCHS = 14
BATCH = 64
MEAN, SCALE = 0.1307, 0.3081  # of pixels from 0 to 1


@dataclass(frozen=True)
class PeerEpoch:
    """How the peer stood after an epoch."""

    number: int
    seconds: float
    """Since the beginning, its steps alone, without measuring."""
    images: int
    """Gone through since the beginning."""
    correct: int
    """Of the validation split."""


def network() -> nn.Sequential:
    """The peer's layers; 1.2 million weights."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU()),
        *(nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten()),
        *(nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(0.5)),
        nn.Linear(128, 10),
    )


def train_peer(source: Source, device: torch.device, seed: int = 0) -> Iterator[PeerEpoch]:
    """Fits the peer to the fit split, an epoch each time the next one is asked for.

    Args:
        source: MNIST, with its splits `fit` and `validation`.
    """
    torch.manual_seed(seed)
    model = network().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    images, labels = on(device, source.splits["fit"])
    seconds = 0.0
    for number in range(1, EPOCHS + 1):
        model.train()
        began = time.perf_counter()
        for rows in torch.split(torch.randperm(len(images)).to(device), BATCH):
            loss = functional.cross_entropy(model(normalised(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        float(loss.detach())  # waits for the device
        seconds += time.perf_counter() - began
        for group in optimizer.param_groups:
            group["lr"] *= 0.7
        yield PeerEpoch(number, seconds, number * len(images), right_answers(model, source, device))


@torch.no_grad()
def right_answers(model: nn.Module, source: Source, device: torch.device) -> int:
    """Of the validation split."""
    model.eval()
    images, labels = on(device, source.splits["validation"])
    answers = torch.cat([model(normalised(batch)).argmax(dim=1) for batch in torch.split(images, 1000)])
    return int((answers == labels).sum())


def on(device: torch.device, part: Examples) -> tuple[Tensor, Tensor]:
    """Images and labels on a device."""
    return torch.from_numpy(part.images[:].copy()).to(device), torch.from_numpy(part.labels.copy()).to(device)


def normalised(images: Tensor) -> Tensor:
    """uint8 (N, H, W) as float32 (N, 1, H, W)."""
    return (images.unsqueeze(1).float() / 255 - MEAN) / SCALE
