"""The steps of a training, in order."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vouch.bundle.answers import answers_of
from vouch.bundle.caveats import calibration_in_words, promise_in_words
from vouch.bundle.digest import array_digest
from vouch.bundle.label_sets import enough_for
from vouch.bundle.manifest import CARD, MODEL, REPORT, FileEntry, Manifest, SplitEntry, Training
from vouch.bundle.multi_label import task_of
from vouch.bundle.new_validation import from_arrays
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import Bundle, Content, ModelsFolder, open_bundle
from vouch.cli.console import progress_bar, say
from vouch.cli.settings import flag_name
from vouch.cli.stopping import finishing
from vouch.sources.images import batches
from vouch.sources.split_names import Part
from vouch.trainer.errors import TrainError
from vouch.trainer.job import Trained
from vouch.trainer.judge.exam import Exam, examine
from vouch.trainer.learn.checkpoint import Checkpoint, remove_expired, remove_leftovers
from vouch.trainer.learn.loop import Fitted, Step, fit
from vouch.trainer.learn.networks import Classifier
from vouch.trainer.learn.processes import Processes, joined
from vouch.trainer.learn.recipes import Recipe, recipe_for, recorded_recipe
from vouch.trainer.limits import check_settings
from vouch.trainer.publish.card import model_card
from vouch.trainer.publish.provenance import library_versions, source_revision
from vouch.trainer.reading import read_splits
from vouch.trainer.report.finished import Digests, Run
from vouch.trainer.report.opposite import wanted_class
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.settings import AFTER_FITTING, NOT_DECIDING, OF_THE_RECIPE, TrainSettings
from vouch.trainer.splits.split import Splits, data_digest


def run(settings: TrainSettings) -> Trained | None:
    """The run of `vouch.trainer.job.train`, which has looked at the settings first; arguments and results are its."""
    with joined(choose_device(settings.device)) as processes:
        return _run(settings, processes)


def _run(settings: TrainSettings, processes: Processes) -> Trained | None:
    folder = ModelsFolder(settings.models)
    if processes.leads and (left := folder.remove_leftovers() + remove_leftovers(settings.models)):
        say(f"removed what trainings that are no more had left unfinished: {', '.join(map(str, left))}")
    if settings.like:
        _recorded_recipe(settings.like)
    check_settings(settings)

    splits = read_splits(settings, processes.device)
    before = splits.digests()
    recipe = _recipe(settings, splits.fit.images.shape, processes.cores())
    torch.manual_seed(settings.seed)
    shape, task = splits.fit.images.shape[1:], task_of(splits.fit.labels)
    classifier = Classifier(settings.model, shape, len(splits.classes), recipe.width, task)
    first_weights = weights_digest(classifier)

    recorder = Recorder(classifier, splits, recipe.loss, wanted_class(splits.classes))
    checkpoint = _checkpoint(settings, recipe, before, processes, recorder)
    with _telling_how_to_go_on(checkpoint, recipe.epochs):
        fitted = _fit(classifier, splits, recipe, processes, checkpoint, recorder)
        if not processes.leads:
            return None
        images = Digests(data_digest(before), data_digest(splits.digests()))
        weights = Digests(first_weights, weights_digest(classifier))
        _check_unchanged(images, weights)

        exam = examine(classifier, splits, settings.max_drop if settings.quantize == "int8" else None)
        _tell(exam, len(splits.tune))
        training = _describe(settings, processes, recipe, splits, before, fitted)
        run = Run(settings.model_name, classifier, splits, recipe, fitted, training, exam, images, weights)
        pixels = PixelSettings.of(splits.validation.images.shape[1:], settings.bits, settings.decoding.ground)
        report = report_html(run, recorder)
        with finishing():  # a version that is there is told of
            published = _publish(folder, run, pixels, report)
            checkpoint.remove()
    return Trained(published, new=True, read=splits.read)


@contextmanager
def _telling_how_to_go_on(checkpoint: Checkpoint, epochs: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if kept := checkpoint.epochs():
            say(f"interrupted: {kept} of {epochs} epochs are kept; the same command with --resume goes on from there")
        else:
            say("interrupted before an epoch could be kept: there is nothing to go on from")
        raise


def _check_unchanged(images: Digests, weights: Digests) -> None:
    """What the learner asked about: training changes weights, and never an image."""
    if images.before != images.after:
        raise TrainError("the images changed while the model was fitted, which is a bug: nothing is published")
    say(
        f"the images are as they were (SHA-256 {images.before[:12]}...), the weights are not: "
        f"{weights.before[:12]}... -> {weights.after[:12]}..."
    )


def _publish(folder: ModelsFolder, run: Run, pixels: PixelSettings, report: bytes) -> Bundle:
    splits, exam = run.splits, run.exam
    card = model_card(run.name, splits.classes, run.training, exam, splits.known, pixels)
    answers = answers_of(splits.validation.labels, exam.probabilities, exam.thresholds)
    validation = from_arrays(batches(splits.validation.images), answers, splits.classes)
    files: dict[str, Content] = {MODEL: exam.graph, validation.name: validation, REPORT: report, CARD: card.encode()}

    def describe(version: int, entries: dict[str, FileEntry]) -> Manifest:
        return Manifest(
            name=run.name,
            version=version,
            created=datetime.now(UTC).replace(microsecond=0),
            task=run.classifier.task,
            labels=splits.classes,
            input=pixels,
            claim=exam.claim,
            thresholds=exam.thresholds,
            calibration=exam.calibration,
            quantization=exam.quantized.facts if exam.quantized else None,
            validation_digest=validation.digest,
            training=run.training,
            files=entries,
        )

    return folder.publish(run.name, files, describe)


def choose_device(wanted: str) -> torch.device:
    """
    Raises:
        TrainError: cuda was asked for and is not available; never falls back in silence.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise TrainError(f"--device cuda was asked for, but torch {torch.__version__} finds no CUDA device here")
    return torch.device("cuda" if available and wanted != "cpu" else "cpu")


def weights_digest(classifier: Classifier) -> str:
    """SHA-256 of all weights."""
    return array_digest(*(weights.detach().cpu().numpy() for weights in classifier.parameters()))


def _recipe(settings: TrainSettings, shape: tuple[int, ...], cores: int) -> Recipe:
    """As recorded in the bundle that is to be repeated, unless a flag changes the recipe; else the network's."""
    today = recipe_for(settings, shape, cores)
    if not settings.like:
        return today
    recorded, recipe = _recorded_recipe(settings.like)
    unsaid = _chosen(TrainSettings.model_construct())  # of settings that came later than the bundle
    asked = _chosen(settings)
    if changed := [name for name in OF_THE_RECIPE if recorded.get(name, unsaid[name]) != asked[name]]:
        say(f"the recipe is today's, not that of {settings.like}, because {', '.join(map(flag_name, changed))} differs")
        return today
    return replace(recipe, seed=settings.seed, balance=settings.balance, threads=today.threads)


def _recorded_recipe(path: Path) -> tuple[dict[str, Any], Recipe]:
    """The settings of a bundle's training, and its recipe. Raises BundleError and TrainError."""
    recorded = open_bundle(path).manifest.training.settings
    return recorded, recorded_recipe(recorded["recipe_in_full"])


def _checkpoint(
    settings: TrainSettings, recipe: Recipe, digests: Mapping[Part, str], processes: Processes, recorder: Recorder
) -> Checkpoint:
    """The file that keeps this training's epochs; says what it found there."""
    identity = {
        "settings": _chosen(settings, without=(*AFTER_FITTING, "threads")),  # which are in the recipe
        "recipe": asdict(recipe),
        "data": data_digest(digests),
        "torch": torch.__version__,
        "processes": [processes.count, processes.device.type],
    }
    folder = settings.models / settings.model_name
    checkpoint = Checkpoint(folder, json.dumps(identity, sort_keys=True), {"report": recorder}, settings.resume)
    if processes.leads and (expired := remove_expired(settings.models, checkpoint)):
        say(f"removed checkpoints that nobody went on from for 30 days: {', '.join(map(str, expired))}")
    if settings.resume and not checkpoint.exists():
        say("no interrupted training with these settings and images is kept: beginning from the start")
    elif settings.resume:
        say(f"going on from {checkpoint.path}")
    elif checkpoint.exists():
        say(
            "warning: an interrupted training like this one is kept; this one begins from the start, "
            "--resume would have gone on"
        )
    return checkpoint


def _fit(
    classifier: Classifier,
    splits: Splits,
    recipe: Recipe,
    processes: Processes,
    checkpoint: Checkpoint,
    recorder: Recorder,
) -> Fitted:
    steps = recipe.epochs * -(-len(splits.fit) // recipe.batch_size)
    with progress_bar(f"fitting for {recipe.epochs} epochs", steps) as show:

        def on_step(step: Step) -> None:
            show(step.number)
            recorder(step)
            epoch = step.epoch
            if epoch and epoch.number and (epoch.number % -(-recipe.epochs // 10) == 0 or epoch.number == 1):
                say(f"epoch {epoch.number:>3}: loss {epoch.fit_loss:.4f}, tune accuracy {epoch.tune_accuracy:.2%}")

        fitted = fit(classifier, splits, recipe, processes, on_step, checkpoint)
    commonest = np.unique(splits.tune.labels, axis=0, return_counts=True)[1].max() / len(splits.tune)
    say(
        f"tune accuracy: {fitted.epochs[0].tune_accuracy:.2%} with random weights, "
        f"{commonest:.2%} by always answering the commonest, "
        f"{fitted.best.tune_accuracy:.2%} after epoch {fitted.best.number}, "
        f"in {fitted.seconds:.1f} s on {processes.device.type}, {recipe.threads} thread{'s' * (recipe.threads > 1)}"
    )
    if fitted.best.number == 0:
        if processes.leads:
            checkpoint.remove()
        raise TrainError(
            "no epoch was better on tune than the random weights before training, so nothing is published: try a lower "
            "--learning-rate, more epochs or more images, and look at the labels"
        )
    return fitted


def _tell(exam: Exam, tuned_on: int) -> None:
    say(calibration_in_words(exam.calibration))
    if exam.quantized:
        facts = exam.quantized.facts
        say(
            f"int8: {facts.tune.correct:,} of {facts.tune.total:,} tune images right, in float32 "
            f"{facts.float_tune.correct:,}; {exam.quantized.differing:,} are answered differently"
        )
    if exam.thresholds:
        say(f"a label is answered from its own threshold on, {min(exam.thresholds):.2f} to {max(exam.thresholds):.2f}")
    for coverage in exam.calibration.coverages:
        promise = f"label sets for {promise_in_words(coverage)}"
        if enough_for(tuned_on, coverage.promised):
            found = f"{coverage.covered / coverage.total:.2%} contain the truth, {coverage.mean_size:.2f} labels a set"
            say(f"{promise}: {found}{'' if coverage.kept else '; the promise was not kept'}")
        else:
            say(f"{promise}: all labels, because {tuned_on} tune images are too few for that promise")


def _describe(
    settings: TrainSettings,
    processes: Processes,
    recipe: Recipe,
    splits: Splits,
    digests: Mapping[Part, str],
    fitted: Fitted,
) -> Training:
    epochs = [{key: value for key, value in asdict(epoch).items() if not isnan(value)} for epoch in fitted.epochs]
    return Training(
        settings=_chosen(settings)
        | {"processes": processes.count, "device": processes.device.type, "threads": recipe.threads}
        | {"recipe_in_full": asdict(recipe), "epochs_seen": epochs, "best_epoch": fitted.best.number},
        seed=settings.seed,
        seconds=round(fitted.seconds, 3),
        data=settings.data,
        data_digest=data_digest(digests),
        splits={name: SplitEntry(size=len(part), digest=digests[name]) for name, part in splits.by_name.items()},
        libraries=library_versions(),
        source_revision=source_revision(),
    )


def _chosen(settings: TrainSettings, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """What was asked for, as far as it decides the result."""
    return settings.model_dump(mode="json", exclude={*NOT_DECIDING, *without})
