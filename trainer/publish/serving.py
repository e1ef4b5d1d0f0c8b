"""The cost of serving a validation image on this machine, with the graphs of a finished run."""

from dataclasses import replace

import numpy as np

from vouch.bundle.pixel_settings import PixelSettings
from vouch.trainer.errors import TrainError
from vouch.trainer.judge.serving_cost import RUNS, ServingCost, serving_cost
from vouch.trainer.publish.validation import as_judged
from vouch.trainer.report.finished import Run


def cost_to_serve(run: Run, pixels: PixelSettings) -> ServingCost:
    """The cost, measured on a few evenly spaced images.

    Args:
        pixels: how image files were decoded.
    """
    validation, exam = run.splits.validation, run.exam
    few = validation[np.unique(np.arange(RUNS) * len(validation) // RUNS)]
    files: list[bytes] = []
    if few.names.path(0) is not None:
        try:
            files = list(as_judged(few, pixels))
        except TrainError:  # files have changed since the version was published
            files = []
    graphs = {"float32": exam.graph}
    if exam.quantized:
        graphs = {"float32": exam.quantized.float_graph, "int8": exam.graph}
    cost = serving_cost(graphs, few.images[:], files, pixels)
    return replace(cost, int8_refused=exam.int8_refused is not None)
