"""Time limits of a version, proportional to the images that are run: a slow model is not mistaken for one that hangs,
and one that hangs is ended soon.
"""

START_S = 300.0
"""To start, read, hash and open: enough for 3 GB of files from a disk of 10 MB/s."""
STEP_S = 120.0
"""In addition for each run: a GPU searches for its fastest algorithms at each new size."""
IMAGE_S = 2.0
"""Per image of a run. A batch of 256 may then take over eight minutes; callers wait one minute by default."""


def load_within_s(max_batch_size: int) -> float:
    """To load and warm up: on a GPU, one run per power of two, in total less than two runs of the largest size."""
    return START_S + STEP_S + 2 * max_batch_size * IMAGE_S
