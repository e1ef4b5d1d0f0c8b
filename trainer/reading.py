"""The images of a training: reads, checks and splits them, and prints what a person can check about them."""

from dataclasses import replace

from vouch.cli.console import say
from vouch.sources.examples import Source
from vouch.sources.load import load
from vouch.sources.origins import bits_without_effect, decoding_warnings, transparency
from vouch.sources.proportions import other_proportions
from vouch.sources.summary import Summary
from vouch.sources.survey import Survey
from vouch.sources.wanted import Wanted
from vouch.trainer.choosing import Chosen, choose
from vouch.trainer.judging import judging
from vouch.trainer.learn.processes import ALONE, Processes
from vouch.trainer.limits import check_survey
from vouch.trainer.settings import TrainSettings
from vouch.trainer.splits.balance import uneven_classes
from vouch.trainer.splits.small_classes import without_small_classes
from vouch.trainer.splits.split import Splits, make_splits


def read_splits(settings: TrainSettings, processes: Processes = ALONE) -> tuple[Splits, Chosen]:
    """The examples that the settings name, split, and what was chosen for the training; prints both.

    Raises:
        SourceError, TrainError: they cannot be read or split, or cannot be fitted on this machine.
    """
    source = _read(settings, processes)
    chosen = choose(settings, Survey.of(source))
    read = Summary.of(source)
    fitted = other_proportions(source, chosen.wanted.fit)
    grouped = [source.groups.sentence(part.groups for part in source.splits.values())] if source.groups else []
    for line in (read.sentence(), *source.notes, *grouped, *fitted, *transparency(source, settings.decoding)):
        say(line)
    if not source.splits.keys() & {"validation", "all"}:
        say(f"splits: the data has no validation split, so {settings.validation_share:.0%} of fit is set aside for it")
    for warning in source.warnings:  # first, because later errors may follow from them
        say(f"warning: {warning}")
    judged = judging(settings, chosen, source, processes.count)
    splits = make_splits(
        source,
        judged.tune_share,
        settings.validation_share,
        settings.seed if settings.split_seed is None else settings.split_seed,
        settings.allow_duplicates,
        settings.keep_alike,
    )
    uneven = uneven_classes(splits.fit.labels, source.classes, settings.balance)
    splits = replace(splits, warnings=splits.warnings + uneven)
    for line in splits.notes:
        say(line)
    say("splits: " + ", ".join(f"{len(part):,} {name}" for name, part in splits.by_name.items()))
    for warning in splits.warnings[len(source.warnings) :]:
        say(f"warning: {warning}")
    say(judged.sentence)
    say(chosen.sentence())
    return replace(splits, read=read, judged_by=judged.reason), chosen


def _read(settings: TrainSettings, processes: Processes) -> Source:
    """The data with the requested classes, and warnings about it."""

    def decide(survey: Survey) -> Wanted:
        chosen = choose(settings, survey)
        check_survey(settings, chosen, survey.as_wanted(chosen.wanted), processes)
        return chosen.wanted

    source = load(settings.data, settings.decoding, settings.task, decide, settings.folder_rules)
    if settings.chosen_classes:
        source = source.with_classes(settings.chosen_classes)
    left_out: tuple[str, ...] = ()
    if settings.leave_out_small_classes:
        chosen = choose(settings, Survey.of(source))
        made = judging(settings, chosen, source, processes.count).tune_share is not None
        source, left_out = without_small_classes(source, made)
    odd = bits_without_effect(source, settings.decoding) + decoding_warnings(source)
    return replace(source, warnings=source.warnings + left_out + odd)
