"""The files of a bundle, and its manifest, published as the next version."""

from collections.abc import Mapping
from datetime import UTC, datetime

from vouch.bundle.listed import CARD, MODEL, FileEntry
from vouch.bundle.manifest import Manifest
from vouch.bundle.opening import Bundle
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.writing import Content
from vouch.trainer.publish.card import model_card, what_next
from vouch.trainer.publish.validation import new_validation
from vouch.trainer.report.finished import Run
from vouch.trainer.report.next_steps import next_steps


def publish(folder: ModelsFolder, run: Run, pixels: PixelSettings, more: Mapping[str, bytes]) -> Bundle:
    """Publishes the files of a finished run as the next version.

    Args:
        more: files in addition to those that every bundle has, by name.

    Raises:
        BundleError: it cannot be written.
        TrainError: a validation file has changed since it was read.
    """
    splits, exam = run.splits, run.exam
    validation = new_validation(run, pixels)
    steps = next_steps(run)
    card = model_card(run.name, splits.classes, run.training, exam, splits.known, pixels)
    card += what_next((steps.images, steps.model))  # the sentence about labels is left out: it names a file
    files: dict[str, Content] = {MODEL: exam.graph, validation.name: validation, CARD: card.encode(), **more}

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
            quantization_refused=exam.int8_refused,
            validation_digest=validation.digest,
            training=run.training,
            files=entries,
        )

    return folder.publish(run.name, files, describe)
