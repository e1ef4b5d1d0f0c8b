"""`vouch predict`, `vouch evaluate`, `vouch status`, `vouch health` and `vouch bench`."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from vouch.bundle.caveats import CHANCE, calibration_in_words, guarantee_in_words, promise_in_words, withheld_in_words
from vouch.bundle.errors import BundleError
from vouch.bundle.reliability import Calibration
from vouch.cli.console import AGAINST, exit_code, output, print_caveats, print_json, progress_bar, say
from vouch.cli.exit_codes import DONE, FAILED
from vouch.cli.printable import json_text
from vouch.cli.settings import parse
from vouch.client.bench.images import Reference, take_reference
from vouch.client.bench.measure import measure, run
from vouch.client.bench.points import Measured
from vouch.client.bench.recommend import recommend
from vouch.client.bench.report import as_json, notes, tables
from vouch.client.client import Client
from vouch.client.errors import BenchFailed, CallFailed, UnusableCertificate
from vouch.client.labelled import find_labelled
from vouch.client.messages import Evaluation
from vouch.client.models import Model, ModelVersion
from vouch.client.predicting import predict_files
from vouch.client.recount import Recounted, recount
from vouch.client.settings import BenchSettings, EvaluateSettings, HealthSettings, PredictSettings, StatusSettings
from vouch.client.waiting import until_served
from vouch.sources.errors import SourceError
from vouch.sources.left_out import check_strict

LOWEST = 5
"""At most this many classes are listed: those with the smallest share of right answers."""
EXPECTED = (CallFailed, SourceError, BundleError, BenchFailed, UnusableCertificate)


def predict(arguments: Sequence[str]) -> int:
    """Classifies files; returns the exit code: 1 if any file has no answer."""
    settings = parse(
        PredictSettings, "vouch predict", arguments, epilog="Example: vouch predict seven.png photos/ --top 3"
    )
    return exit_code(lambda: predict_files(settings), EXPECTED)


def evaluate(arguments: Sequence[str]) -> int:
    """Recounts a claim; returns the exit code."""
    settings = parse(EvaluateSettings, "vouch evaluate", arguments, epilog="Example: vouch evaluate --model mnist")
    return exit_code(lambda: _evaluate(settings), EXPECTED)


def status(arguments: Sequence[str]) -> int:
    """Shows what is served; returns the exit code."""
    settings = parse(StatusSettings, "vouch status", arguments, epilog="Example: vouch status --server localhost:8081")
    return exit_code(lambda: _status(settings), EXPECTED)


def health(arguments: Sequence[str]) -> int:
    """Checks whether a server is ready; returns the exit code: 1 if it is not."""
    settings = parse(HealthSettings, "vouch health", arguments, epilog="Example: vouch health --server localhost:8081")
    return exit_code(lambda: _health(settings), EXPECTED)


def bench(arguments: Sequence[str]) -> int:
    """Measures throughput and latency; returns the exit code: 1 also if answers were wrong."""
    settings = parse(BenchSettings, "vouch bench", arguments, epilog="Example: vouch bench --data mnist --out measured")
    return exit_code(lambda: _bench(settings), EXPECTED)


def _evaluate(settings: EvaluateSettings) -> None:
    with Client(settings.server, settings.timeout_s, settings.trust) as client:
        until_served(client, settings.model, settings.wait_s)
        result = _evaluate_on_data(client, settings) if settings.data else _evaluate_on_bundle(client, settings)
    if settings.json_output:
        counted_on = settings.data or "validation split of the bundle"
        more = _recounted_as_json(result) if isinstance(result, Recounted) else {}
        named = {"model": result.model, "version": result.version}
        print_json(named | _counts_as_json(result) | more | {"data": counted_on})
        return
    output().print(f"{result.model} version {result.version}", style="bold", markup=False)
    output().print(f"  claim   {result.claim}")
    output().print(f"  served  {result.served}" + (f" on {settings.data}" if settings.data else ""))
    if isinstance(result, Recounted):
        _print_recounted(result)


def _recounted_as_json(result: Recounted) -> dict[str, Any]:
    return {
        "balanced": asdict(result.balanced) if result.balanced else None,
        "by_class": {name: count.model_dump() for name, count in result.by_class.items()},
        "left_out": result.left_out.as_json(),
        "fit_images": asdict(result.fit_images),
    }


def _print_recounted(result: Recounted) -> None:
    if result.balanced:
        output().print(f"  balanced {result.balanced}")
    counted = [(name, count) for name, count in result.by_class.items() if count.total]
    lowest = sorted(counted, key=lambda one: one[1].accuracy)[:LOWEST]
    if len(counted) > 1:
        words = (f"{name} {count.correct:,} of {count.total:,}" for name, count in lowest)
        output().print(f"  lowest  {', '.join(words)}", markup=False)
    print_caveats("warning", [text for text in (result.fit_images.sentence(),) if text])


def _evaluate_on_bundle(client: Client, settings: EvaluateSettings) -> Evaluation:
    with progress_bar("recounting", None) as show:
        for result in client.evaluate(settings.model):
            show(result.served.total)
    return result


def _evaluate_on_data(client: Client, settings: EvaluateSettings) -> Recounted:
    rules = settings.folder_rules
    labelled = find_labelled(settings.data, client.model(settings.model), rules, settings.layout)
    if rules.classes:
        labelled = labelled.with_classes(rules.classes)
    for line in (labelled.sentence(), *labelled.notes):
        say(line)
    with progress_bar("predicting", len(labelled.truth)) as show:
        result = recount(client, settings.model, labelled, settings.batch_size, show)
    if settings.strict:
        check_strict(settings.data, result.left_out)
    for line in result.refused.sentences():
        say(line)
    return result


def _health(settings: HealthSettings) -> int:
    with Client(settings.server, settings.timeout_s, settings.trust) as client:
        until_served(client, "", settings.wait_s)
        ready = client.ready()
    if settings.json_output:
        print_json({"server": settings.server, "ready": ready})
    else:
        output().print(f"{settings.server} is {'ready' if ready else 'not ready'}")
    return DONE if ready else FAILED


def _status(settings: StatusSettings) -> None:
    with Client(settings.server, settings.timeout_s, settings.trust) as client:
        ready, models = client.ready(), client.models()
    if settings.json_output:
        print_json({"server": settings.server, "ready": ready, "models": [_model_as_json(model) for model in models]})
        return
    output().print(f"{settings.server} is {'ready' if ready else 'not ready'}")
    for model in models:
        _print_model(model)
    if not models:
        output().print(
            "The models folder of this server has no model; vouch train publishes one. See also the server's log."
        )


def _model_as_json(model: Model) -> dict[str, Any]:
    versions = [_version_as_json(version) for version in model.versions]
    return asdict(model) | {"version": model.version, "versions": versions}


def _version_as_json(version: ModelVersion) -> dict[str, Any]:
    values = asdict(version) | _counts_as_json(version)
    values["baseline"] = version.baseline.model_dump() if version.baseline else None
    values["calibration"] = version.calibration.as_json() if version.calibration else None
    values["no_better_than_chance"] = any(caveat.kind == CHANCE for caveat in version.caveats)
    values["pixels"] = version.pixels.model_dump() if version.pixels else None
    return values


def _counts_as_json(result: Evaluation | ModelVersion) -> dict[str, Any]:
    return {"claim": result.claim.model_dump(), "served": result.served.model_dump()}


def _print_model(model: Model) -> None:
    version = f" version {model.version}" if model.version else ""
    output().print()
    output().print(f"{model.name}{version}: {model.state}", style="bold", markup=False)
    for one in model.versions:
        if one.version != model.version:
            output().print(f"{model.name} version {one.version}: {one.role}", style="bold", markup=False)
        _print_version(one)
    if model.verifying and model.state != "verifying":
        output().print(f"  verifying version {', '.join(map(str, model.verifying))}")
    for version_number, reason in model.refusals:
        word = "held back" if version_number in model.held_back else "refused "
        output().print(f"  {word} version {version_number}: {reason.removeprefix('held back: ')}", markup=False)


def _print_version(version: ModelVersion) -> None:
    output().print(f"  claim    {version.claim}")
    if version.balanced is not None:
        output().print(f"  balanced {version.balanced}")
    print_caveats("warning", [caveat.text for caveat in version.caveats])
    output().print(f"  served   {version.served}")
    if version.recount is not None:
        output().print(f"  answers  {version.recount}")
    output().print(f"  input    {' x '.join(map(str, version.input_shape))}, one byte per value")
    if version.pixels is not None:
        output().print(f"  files    {version.pixels}")
    if version.backbone is not None:
        output().print(f"  backbone {version.backbone}", markup=False)
    output().print(f"  labels   {', '.join(version.labels)}", markup=False)
    if version.thresholds:
        lowest, highest = min(version.thresholds), max(version.thresholds)
        output().print(f"  answers  each label that reaches its threshold, {lowest:.2f} to {highest:.2f}")
    output().print(f"  digest   {version.digest}", markup=False)
    plan = version.plan
    threads = f"threads {plan.threads or 'of the provider'}, runs at once {plan.at_once}"
    output().print(f"  runs     {threads}, up to {plan.inline_images} images on the event loop")
    if version.calibration:
        _print_calibration(version.calibration)


def _print_calibration(calibration: Calibration) -> None:
    output().print(f"  scores   {calibration_in_words(calibration)}")
    for one in calibration.coverages:
        kept = f"{'kept' if one.kept else 'not kept:'} {one.counted}, {one.mean_size:.2f} labels per set"
        promise = f"{promise_in_words(one)} promised"
        output().print(f"  sets     {promise}, {kept}", style=None if one.kept else AGAINST)
    for withheld in calibration.withheld:
        output().print(f"  sets     {withheld_in_words(withheld)}")
    if calibration.coverages:
        output().print(f"  sets     {guarantee_in_words(calibration).removeprefix('label sets ')}")


def _bench(settings: BenchSettings) -> None:
    if settings.out is not None:
        _check_out(settings.out)
    with Client(settings.server, settings.timeout_s, settings.trust) as client:
        model = client.model(settings.model)
        if model.live is None:
            raise BenchFailed(f"model {model.name} is not served; its state is {model.state}; vouch status shows why")
        reference = take_reference(client, model.live, settings.data)
    measured = Measured(model.live)
    try:
        with progress_bar("points measured", None) as show:
            run(measure(settings, reference, measured, show))
    finally:
        if measured.closed:  # also after an interruption, or if the server has stopped
            _show_measured(settings, reference, measured)
    if measured.wrong:
        raise BenchFailed(measured.wrong)


def _check_out(folder: Path) -> None:
    """Checks before the measurement whether the files can be written."""
    try:
        import_module("vouch.client.bench.plot")
    except ModuleNotFoundError as err:
        raise BenchFailed(
            f"--out needs {err.name}, which is not installed: pip install 'vouch-onnx[trainer]'; or use --json, which "
            "gives the same numbers"
        ) from err
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise BenchFailed(f"--out {folder} cannot be created: {err.strerror}") from err
    if not os.access(folder, os.W_OK):
        raise BenchFailed(f"--out {folder} is not writable; choose another folder")


def _show_measured(settings: BenchSettings, reference: Reference, measured: Measured) -> None:
    recommendation = recommend(measured.closed, settings.slo_ms)
    result = as_json(settings, reference, measured, recommendation)
    if settings.json_output:
        print_json(result)
    else:
        output().print(f"{measured.model.name} version {measured.model.version} at {settings.server}", style="bold")
        for table in tables(measured):
            output().print(table)
        for note in notes(measured, reference):
            output().print(note)
        output().print()
        output().print(recommendation.sentence, style="bold")
    if settings.out is not None:
        (settings.out / "bench.json").write_text(json_text(result, indent=2) + "\n", "utf-8")
        (settings.out / "bench.svg").write_text(import_module("vouch.client.bench.plot").plot(measured), "utf-8")
