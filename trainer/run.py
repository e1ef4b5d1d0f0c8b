"""The steps of a training, in order."""

from dataclasses import replace

from vouch.bundle.listed import REPORT
from vouch.bundle.pixel_settings import PixelSettings
from vouch.bundle.store import ModelsFolder
from vouch.bundle.training import Recipe
from vouch.cli.console import say
from vouch.cli.stopping import finishing
from vouch.trainer.choosing import Chosen
from vouch.trainer.compare.differing_settings import chosen_settings
from vouch.trainer.errors import TrainError
from vouch.trainer.fitting import fit_and_tell, kept_parts
from vouch.trainer.job import Trained
from vouch.trainer.judge.acceptance import Terms
from vouch.trainer.judge.exam import examine, judges_of
from vouch.trainer.judge.findings import findings
from vouch.trainer.judge.hindsight import answers_of_folds, features_learned_from, hindsight
from vouch.trainer.learn.checkpoint import remove_leftovers
from vouch.trainer.learn.circumstances import circumstances, flags_of
from vouch.trainer.learn.device import choose_device, explained_memory
from vouch.trainer.learn.judges import in_order_of_fit
from vouch.trainer.learn.networks import weights_digest
from vouch.trainer.learn.presets import recipe_for
from vouch.trainer.learn.processes import Processes, joined
from vouch.trainer.like import note_threads, recipe_like, recipe_of
from vouch.trainer.limits import check_settings
from vouch.trainer.making import make_classifier
from vouch.trainer.publish.bundle import publish
from vouch.trainer.publish.describe import data_name, describe
from vouch.trainer.publish.fit_digests import fit_digests
from vouch.trainer.publish.label_errors import LABEL_ERRORS, label_errors
from vouch.trainer.publish.serving import cost_to_serve
from vouch.trainer.reading import read_splits
from vouch.trainer.report.finished import Digests, Run
from vouch.trainer.report.next_steps import next_steps
from vouch.trainer.report.opposite import wanted_class
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.resuming import open_checkpoint, telling_how_to_go_on
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.split import data_digest
from vouch.trainer.tracking.tracker import Tracker, tracking


def run(settings: TrainSettings) -> Trained | None:
    """Runs a training; arguments and result as `vouch.trainer.job.train`, which checks the settings first."""
    with joined(choose_device(settings.device)) as processes, explained_memory(processes.device):
        track = settings.track if processes.leads else "none"
        with tracking(track, settings.track_to, settings.model_name) as tracker:
            return _run(settings, processes, tracker)


def _run(settings: TrainSettings, processes: Processes, tracker: Tracker) -> Trained | None:
    folder = ModelsFolder(settings.models)
    _tidy(folder, settings, processes)
    if settings.like:
        recipe_of(settings.like)  # before an image is read
    check_settings(settings)

    splits, chosen = read_splits(settings, processes)
    before = splits.digests()
    recipe = _recipe(settings, chosen, splits.fit.images.shape, processes)
    classifier = make_classifier(settings, recipe.model or chosen.model, recipe, splits, processes.cores())

    tracker.begun(chosen_settings(settings.deciding() | {"data": data_name(settings.data)}, recipe))
    recorder = Recorder(classifier, splits, recipe.loss, wanted_class(splits.classes), tracker.epoch)
    checkpoint = open_checkpoint(settings, recipe, before, processes, kept_parts(classifier, recorder))
    with telling_how_to_go_on(checkpoint):
        fitted = fit_and_tell(classifier, splits, recipe, processes, recorder, checkpoint)
        if not processes.leads:
            return None
        recipe = fitted.recipe or recipe
        images = Digests(data_digest(before), data_digest(splits.digests()))
        weights = Digests(weights_digest(recorder.with_first_weights()), weights_digest(classifier))
        _check_unchanged(images, weights)

        judges = judges_of(classifier, splits, fitted.folds)
        terms = Terms(settings.max_drop) if settings.quantize == "int8" else None
        exam = examine(classifier, splits, judges, terms, settings.coverage_by_class)
        for finding in findings(exam):
            say(finding)
        where = circumstances(processes, recipe)
        training = describe(settings.deciding(), recipe, where, fitted, splits, before)
        of_fit = in_order_of_fit(fitted.folds, exam.calibration.temperature)
        out_of_fold = answers_of_folds(classifier, of_fit)
        seen = hindsight(splits, exam, features_learned_from(classifier, splits), out_of_fold)
        run = Run(settings.model_name, classifier, splits, recipe, fitted, training, exam, images, weights, seen)
        wanted = chosen.wanted
        pixels = PixelSettings.of(splits.validation.images.shape[1:], wanted.bits, wanted.ground, wanted.fit)
        report = report_html(run, recorder)
        doubts = {LABEL_ERRORS: label_errors(run)} if run.hindsight.doubts else {}
        with finishing():  # an interruption waits: a published version is always printed
            known = fit_digests(splits.fit, before["fit"]) if settings.fit_digests else {}
            published = publish(folder, run, pixels, {REPORT: report, **doubts, **known})
            checkpoint.remove()
            tracker.published(published, fitted.epochs)
            cost = cost_to_serve(run, pixels)
    return Trained(published, new=True, read=splits.read, advice=next_steps(run).sentences, serving=cost)


def _tidy(folder: ModelsFolder, settings: TrainSettings, processes: Processes) -> None:
    if processes.leads and (left := folder.remove_leftovers() + remove_leftovers(settings.models)):
        say(f"removed unfinished files of trainings that no longer run: {', '.join(map(str, left))}")


def _recipe(settings: TrainSettings, chosen: Chosen, shape: tuple[int, ...], processes: Processes) -> Recipe:
    """The recipe, the same in all processes, which may run on different processors."""
    cores = int(processes.least(processes.cores()))
    today = recipe_for(chosen.asked(settings), shape, cores, flags_of(processes))
    gains = processes.least(float(today.precision == "bfloat16"))
    today = replace(today, precision="bfloat16" if gains else "float32")
    if not settings.like:
        return today
    recipe = recipe_like(settings.like, settings, today)
    note_threads(recipe, cores)
    return recipe


def _check_unchanged(images: Digests, weights: Digests) -> None:
    """Checks and prints that training changed the weights, and no image."""
    if images.before != images.after:
        raise TrainError("the images changed while the model was fitted, which is a bug: nothing is published")
    say(
        f"the images are unchanged (SHA-256 {images.before[:12]}...), the weights are not: "
        f"{weights.before[:12]}... -> {weights.after[:12]}..."
    )
