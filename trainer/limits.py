"""Finds trainings that must fail before an image is decoded: too large images, networks or memory needs.

Weights and activations are counted on torch's meta device, which computes shapes and allocates nothing.
"""

from dataclasses import replace
from math import prod

import torch

from vouch.bundle.confusion import MAX_CLASSES
from vouch.bundle.manifest import MAX_LABEL_LENGTH
from vouch.sources.errors import SourceError
from vouch.sources.examples import check_chosen
from vouch.sources.labels import one_class
from vouch.sources.storage import available_memory, plan_room
from vouch.sources.survey import Survey
from vouch.trainer.backbones import check_images, features_of
from vouch.trainer.choosing import Chosen, choose, fit_images
from vouch.trainer.errors import TrainError
from vouch.trainer.judging import FEW, sensible_share
from vouch.trainer.learn.demand import COPIES_OF_INPUT, FLOAT, Demand, demand_of
from vouch.trainer.learn.frozen import bytes_of_features
from vouch.trainer.learn.head import bytes_of_head
from vouch.trainer.learn.networks import Classifier, Layers
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.processes import ALONE, Processes
from vouch.trainer.making import check_head
from vouch.trainer.settings import ONE_LABEL, TrainSettings

MAX_GRAPH_BYTES = (1 << 31) - (1 << 20)
"""An ONNX file is one protobuf message of at most 2 GiB; 1 MiB is reserved for everything that is not a weight."""
COPIES_OF_WEIGHTS = 17
"""While a checkpoint is written: weights, gradients, two moments, the best and the first weights, and all of these as
bytes. Measured: 17.8 times the weights of an mlp on 512 x 512 and of a linear model on 1,000 x 1,000 pixels."""

COPIES_OF_FOLDS = 8
"""In addition, with cross-validation: three networks that are kept, their common start, and the needs of one fit."""


def check_settings(settings: TrainSettings) -> None:
    """Checks what fails whatever the data is.

    Raises:
        TrainError: a graph over 2 GiB.
    """
    if settings.image_size:  # of grey images and two classes
        survey = Survey("", ("", ""), "single_label", {"all": 1}, settings.image_size)
        _check_graph(settings, choose(settings, survey), survey)


def check_survey(settings: TrainSettings, chosen: Chosen, survey: Survey, processes: Processes = ALONE) -> None:
    """Checks what fails with these images; the same in all processes, which use the least memory that any has left.

    Args:
        chosen: what the settings and the images decided.

    Raises:
        SourceError: there is only one class, a chosen class does not exist, or there is no space for the images.
        TrainError: a graph over 2 GiB, too many classes for a manifest, too little memory to fit, several processes
            for a fit that uses one, or a setting that does not apply to a head or to this task.
    """
    if chosen.model == "backbone" and processes.count > 1:
        raise TrainError(
            "these images are trained with a head on a frozen backbone, which one process fits with all cores: run "
            "vouch train without torchrun, or pass --backbone none to train a network from scratch in several processes"
        )
    if chosen.model == "backbone" and not settings.fine_tune:
        check_head(settings)
    if settings.coverage_by_class and survey.task == "multi_label":
        raise TrainError(f"{survey.name} has several labels per image: {ONE_LABEL}")
    if len(survey.classes) < 2:
        raise SourceError(one_class(survey.name, survey.classes))
    if settings.chosen_classes:
        check_chosen(survey.name, survey.classes, settings.chosen_classes)
        survey = replace(survey, classes=settings.chosen_classes)
    _check_classes(survey)
    demand = _check_graph(settings, chosen, survey)
    copied = survey.sizes.get("all", 0) or ("tune" not in survey.sizes and survey.sizes.get("fit", 0))
    left = int(processes.least(available_memory())) // processes.on_machine
    memory = min(settings.memory or left, left)
    images = plan_room(survey.images, survey.shape, memory)
    if images and copied:
        images += copied * demand.input
    fitting = _bytes_of_fitting(settings, chosen, survey, demand)
    if processes.device.type == "cuda" and chosen.model != "backbone":
        on_device = int(processes.least(torch.cuda.mem_get_info(processes.device)[0]))
        _check_memory(survey, (fitting, 0), on_device, str(processes.device), _smaller(survey, chosen))
        fitting = 0
    where = "--memory" if memory == settings.memory else "this machine or container"
    _check_memory(survey, (fitting, images), memory, where, _smaller(survey, chosen))


def demand_for(settings: TrainSettings, chosen: Chosen, survey: Survey) -> Demand:
    """The memory needs of the network for such images and classes."""
    if chosen.model == "backbone":
        check_images(settings, survey.shape)
        head = features_of(settings) * len(survey.classes)
        return Demand(head, prod(survey.shape), features_of(settings), features_of(settings))
    recipe = recipe_for(chosen.asked(settings), (survey.images, *survey.shape))
    with torch.device("meta"):
        classifier = Classifier(chosen.model, survey.shape, len(survey.classes), Layers.of(recipe), survey.task).eval()
        return demand_of(classifier, survey.shape)


def _check_graph(settings: TrainSettings, chosen: Chosen, survey: Survey) -> Demand:
    demand = demand_for(settings, chosen, survey)
    if (size := demand.weights * FLOAT) > MAX_GRAPH_BYTES:
        shape = " x ".join(map(str, survey.shape))
        raise TrainError(
            f"--model {chosen.model} has {demand.weights:,} weights for images of {shape} and "
            f"{len(survey.classes):,} classes: {size / 2**30:,.1f} GiB, but an ONNX file has at most 2 GiB; pass a "
            "smaller --size, or --model cnn, whose weights do not grow with the image"
        )
    return demand


def _check_classes(survey: Survey) -> None:
    if len(survey.classes) > MAX_CLASSES:
        raise TrainError(f"{survey.name} has {len(survey.classes):,} classes; at most {MAX_CLASSES:,} are supported")
    if long := [name for name in survey.classes if len(name) > MAX_LABEL_LENGTH]:
        raise TrainError(
            f"the class {long[0][:50]!r}... has a name of {len(long[0]):,} characters; at most {MAX_LABEL_LENGTH:,} "
            "are supported"
        )


def _bytes_of_fitting(settings: TrainSettings, chosen: Chosen, survey: Survey, demand: Demand) -> int:
    """Approximate memory for the weights, plus a step or measuring on tune, whichever is more."""
    fit = fit_images(settings, survey)
    if chosen.model == "backbone":
        features = bytes_of_features(survey.shape[:2], ALONE.cores())
        return features + bytes_of_head(fit, demand.activations, len(survey.classes))
    tune = survey.sizes.get("tune", 0) or int(fit * (settings.tune_share or sensible_share(fit)))
    recipe = recipe_for(chosen.asked(settings), (fit, *survey.shape))
    crop = recipe.augment.crop if recipe.augment else 1.0
    inputs = COPIES_OF_INPUT * demand.input
    step = min(recipe.batch_size, fit) * (inputs + crop**2 * demand.activations)
    measuring = min(demand.measuring_batch(), tune) * demand.measuring()
    copies = COPIES_OF_WEIGHTS + (COPIES_OF_FOLDS if fit < FEW and settings.tune_share is None else 0)
    return int(max(FLOAT * step, measuring) + FLOAT * copies * demand.weights)


def _check_memory(survey: Survey, needed: tuple[int, int], available: int, where: str, smaller: str) -> None:
    fitting, images = needed
    if fitting + images <= available:
        return
    shape = " x ".join(map(str, survey.shape))
    others = f", and storing {survey.images:,} of them {_gigabytes(images)}" if images else ""
    raise TrainError(
        f"fitting on images of {shape} needs about {_gigabytes(fitting)} of memory{others}; {where} has "
        f"{_gigabytes(available)} available: {smaller}"
    )


def _smaller(survey: Survey, chosen: Chosen) -> str:
    """What to do to need less memory. Arrays cannot be resized, and a head on a backbone has no batches."""
    size, batch = "pass a smaller --size" if survey.files else "", "a smaller --batch-size"
    if chosen.model == "backbone":
        return size or "pass fewer images, or smaller ones"
    return f"{size}, or {batch}" if size else f"pass {batch}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
