"""How long a version may take: in proportion to the images that are run, so that a slow model is not taken for an
endless one, and an endless one is not waited for as if it had much to do.
"""

START_S = 300.0
"""To start, read, hash and open: 3 GB of files take so long from a disk of 10 MB/s."""
STEP_S = 120.0
"""For what comes with a run: a GPU looks for its fastest algorithms at each new size."""
IMAGE_S = 2.0
"""For an image in a run. A batch of 256 then takes over eight minutes, and callers wait for one by default."""


def load_within_s(max_batch_size: int) -> float:
    """To load and warm up: a run of each size, on a GPU of all powers of two, which is two of the largest at most."""
    return START_S + STEP_S + 2 * max_batch_size * IMAGE_S
