"""What an image of the validation split costs to serve here, with the graphs of a finished run."""

from dataclasses import replace

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.serving_cost import RUNS, ServingCost, serving_cost
from vouch.trainer.publish.validation import as_judged
from vouch.trainer.report.finished import Run


def cost_to_serve(run: Run, pixels: PixelSettings) -> ServingCost:
    """Measured on a few of the images, spread over all.

    Args:
        pixels: what image files became.
    """
    validation, exam = run.splits.validation, run.exam
    few = validation[np.unique(np.arange(RUNS) * len(validation) // RUNS)]
    files: list[bytes] = []
    if few.names.path(0) is not None:
        try:
            files = list(as_judged(few, pixels))
        except TrainError:  # they changed since the version was published
            files = []
    graphs = {"float32": exam.graph}
    if exam.quantized:
        graphs = {"float32": exam.quantized.float_graph, "int8": exam.graph}
    cost = serving_cost(graphs, few.images[:], files, pixels)
    return replace(cost, int8_refused=exam.int8_refused is not None)
