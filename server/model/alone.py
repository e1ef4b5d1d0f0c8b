"""Checks that an image gets the same answer alone as in a batch.

Claims are counted in full batches, but callers' images run in batches of every size: for a graph that mixes the images
of a batch, the recount would prove nothing.
"""

import numpy as np

from vouch.server.errors import Refused
from vouch.server.model.batcher import Batcher
from vouch.server.model.differing import NEAR
from vouch.server.model.loader import OnRun
from vouch.server.model.session import Outputs

ALONE = 8
"""Number of images that are run alone."""
MAY_DIFFER = 1
"""Number of them that may differ, because other batch sizes use other kernels."""


async def check_alone(batcher: Batcher, images: np.ndarray, among: Outputs, on_run: OnRun) -> None:
    """
    Args:
        images: the first of a batch: uint8, shape (n, H, W) or (n, H, W, C).
        among: the graph's outputs for the whole batch.

    Raises:
        Refused: several of them get other answers.
        DomainError: as `Batcher.submit`.
    """
    differing = list[str]()
    for row in range(len(images)):
        on_run(1)
        alone = Outputs(*await batcher.submit(images[row : row + 1])).probabilities[0]
        drift = np.abs(alone - among.probabilities[row])
        if not drift.max() <= NEAR:
            label = int(drift.argmax())
            before = among.probabilities[row, label]
            differing.append(f"image {row}, output {label}: {before:.4f} in the batch, {alone[label]:.4f} alone")
    if len(differing) > MAY_DIFFER:
        raise Refused(
            f"{len(differing)} of {len(images)} images get other probabilities alone than in a batch of "
            f"{len(among.probabilities)}, so the graph mixes the images of a batch: {'; '.join(differing)}"
        )
