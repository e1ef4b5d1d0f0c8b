import re
from dataclasses import replace

import pytest
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from tests.support.metrics_state import AROUND, BUILD, state
from vouch import __version__
from vouch.bundle.accuracy import wilson_interval
from vouch.protos.inference import inference_pb2
from vouch.protos.vouch.v1 import classifier_pb2
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import BOUNDS_NS, BatchDone
from vouch.server.rpc.status import CODES
from vouch.server.supervisor.metrics import (
    BATCH_BOUNDS,
    CODE_NAMES,
    LOOKED_AT,
    NAMED,
    NEWEST,
    PREDICTIONS,
    REQUEST,
    StateCollector,
    exposed,
)
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.state import State, Surroundings, build_info

LABELS = {"model": "a", "version": "3"}


def parsed(of: State, around: Surroundings = AROUND) -> dict[str, Metric]:
    text = generate_latest(StateCollector(of, around, BUILD)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def values(family: Metric, name: str = "", **labels: str) -> list[float]:
    return [
        sample.value
        for sample in family.samples
        if sample.name == family.name + name and labels.items() <= sample.labels.items()
    ]


def test_requests_are_told_by_method_model_version_and_code() -> None:
    """A counter and a histogram, of the very same requests; those about no served version have no model."""
    families = parsed(state())

    told = {tuple(map(sample.labels.get, REQUEST)): sample.value for sample in families["vouch_requests"].samples}
    assert {labels: value for labels, value in told.items() if value} == {
        ("vouch.v1.Classifier/Predict", "a", "3", "OK"): 3,
        ("vouch.v1.Classifier/Predict", "a", "3", "RESOURCE_EXHAUSTED"): 1,
        ("vouch.v1.Classifier/Predict", "", "", "NOT_FOUND"): 1,
    }
    seconds = families["vouch_request_seconds"]
    assert values(seconds, "_count", code="OK") == [3]
    assert values(seconds, "_sum", code="OK") == [30.0001]
    assert values(seconds, "_bucket", code="OK", le="2.5e-05") == [0]
    assert values(seconds, "_bucket", code="OK", le="5e-05") == [1]
    assert values(seconds, "_bucket", code="OK", le="0.0001") == [2]
    assert values(seconds, "_bucket", code="OK", le="10.0") == [2]
    assert values(seconds, "_bucket", code="OK", le="+Inf") == [3]


def test_images_without_a_usable_answer_are_counted_from_nought_on() -> None:
    """And the requests that failed for them, beside those whose whole run did."""
    of = state()
    before = parsed(of)
    done = BatchDone(images=8, waits_ns=(1, 1), run_ns=1, unusable_images=3, unusable_waits_ns=(5,))
    of.counts.versions["a"][3].add(done)
    after = parsed(of)

    assert values(before["vouch_unusable_answers"], "_total", **LABELS) == [0]
    assert values(after["vouch_unusable_answers"], "_total", **LABELS) == [3]
    assert values(after["vouch_failed_requests"], "_total", **LABELS) == [3]


def test_what_alerts_look_at_is_told_from_nought_on() -> None:
    """Of what is served, and of requests that named nothing served: else the first burst would be no rise."""
    requests = parsed(state())["vouch_requests"]

    assert values(requests, "_total", method=PREDICTIONS[3], model="a", version="3", code="INTERNAL") == [0]
    assert values(requests, "_total", method=PREDICTIONS[0], model="", version="", code="UNAVAILABLE") == [0]
    assert values(requests, "_total", method=PREDICTIONS[0], model="", version="", code="NOT_FOUND") == [1]
    assert set(LOOKED_AT) <= set(CODE_NAMES)
    assert {CODE_NAMES[code] for code in CODES.values()} <= set(LOOKED_AT)


def test_the_methods_that_alerts_look_at_are_the_ones_that_predict() -> None:
    """As the generated code names them."""
    services = {
        classifier_pb2.DESCRIPTOR.services_by_name["Classifier"],
        inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"],
    }
    there = {f"{service.full_name}/{method.name}" for service in services for method in service.methods}

    predicting = {name for name in there if re.search("/(Predict|Model(Stream)?Infer)", name)}
    assert predicting == set(PREDICTIONS)


def test_runs_are_told_by_their_time_their_images_and_how_long_requests_waited() -> None:
    """A time that is a bucket's end is in it; a failed run is in none of them, and counts as failed."""
    families = parsed(state())

    assert values(families["vouch_queue_seconds"], "_bucket", le="1e-05", **LABELS) == [1]
    assert values(families["vouch_queue_seconds"], "_bucket", le="2.5e-05", **LABELS) == [2]
    assert values(families["vouch_queue_seconds"], "_count", **LABELS) == [3]
    assert values(families["vouch_queue_seconds"], "_sum", **LABELS) == [20.000020001]
    assert values(families["vouch_run_seconds"], "_count", **LABELS) == [2]
    assert values(families["vouch_run_seconds"], "_sum", **LABELS) == [0.00203]
    batches = families["vouch_batch_images"]
    assert [values(batches, "_bucket", le=le) for le in ("1.0", "2.0", "64.0", "128.0")] == [[0], [1], [1], [2]]
    assert values(batches, "_sum", **LABELS) == [102]
    assert values(families["vouch_failed_requests"], "_total", **LABELS) == [2]
    assert values(families["vouch_queue_images"], model="a") == [7]
    assert values(families["vouch_held_bytes"], kind="received") == [5000]


@pytest.mark.parametrize(("what", "correct"), [("claim", 97), ("served", 98)])
def test_claim_and_served_accuracy_are_told_with_their_intervals(what: str, correct: int) -> None:
    """Whoever reads a dashboard sees what was promised beside what was counted."""
    families = parsed(state())
    told = [values(families[f"vouch_accuracy_{what}{end}"], **LABELS) for end in ("", "_low", "_high")]

    low, high = wilson_interval(correct, 100)
    assert told == [[correct / 100], [low], [high]]


def test_the_server_itself_is_told_of() -> None:
    """Each value is where it belongs."""
    families = parsed(state())

    assert values(families["vouch_start_time_seconds"]) == [1_790_000_000.25]
    assert values(families["vouch_installs"], "_total") == [3]
    assert values(families["vouch_refusals"], "_total") == [2]
    assert values(families["vouch_refused_versions"]) == [2]
    assert values(families["vouch_workers"]) == [4]
    assert values(families["vouch_ready_workers"]) == [3]
    assert values(families["vouch_worker_restarts"], "_total") == [5]
    assert values(families["vouch_build_info"], **BUILD) == [1]


def test_versions_are_named() -> None:
    """The one that answers with its digest, those that are refused, and whether what is served lies on disk."""
    families = parsed(state())

    served = [(sample.labels, sample.value) for sample in families["vouch_served_version"].samples]
    assert served == [({"model": "a", "digest": "1234567890ab"}, 3)]
    assert versions_of(families["vouch_refused_version"]) == {("a", "4"): 1, ("a", "5"): 1}
    assert versions_of(families["vouch_served_folder_there"]) == {("a", "3"): 0, ("b", "1"): 1}


def versions_of(family: Metric) -> dict[tuple[str, str], float]:
    return {(sample.labels["model"], sample.labels["version"]): sample.value for sample in family.samples}


def test_however_many_versions_are_refused_a_bounded_number_is_named() -> None:
    """The newest few of each model, so that none crowds the others out; all of them are counted."""
    one = [("a", version) for version in range(1, 31)]
    many = [(f"b{number}", 1) for number in range(2 * NAMED)]
    folders = {f"b{number}": 1 for number in range(2 * NAMED)}
    families = parsed(replace(state(), refused=(*one, *many)), replace(AROUND, found=Found(True, folders)))

    named = versions_of(families["vouch_refused_version"])
    assert len(named) == NAMED
    assert [int(version) for model, version in named if model == "a"] == list(range(31 - NEWEST, 31))
    assert values(families["vouch_refused_versions"]) == [30 + 2 * NAMED]
    assert len(families["vouch_model_versions"].samples) == NAMED
    assert values(families["vouch_models_found"]) == [2 * NAMED]


def test_what_the_server_depends_on_is_told() -> None:
    """The models folder, the certificates, and how many servers there should be."""
    families = parsed(state())

    assert values(families["vouch_models_folder_readable"]) == [1]
    assert values(families["vouch_models_found"]) == [2]
    assert {sample.labels["model"]: sample.value for sample in families["vouch_model_versions"].samples} == {
        "a": 2,
        "b": 1,
        "emptied": 0,
    }
    assert values(families["vouch_certificate_not_before_seconds"], of="server") == [1_700_000_000]
    assert values(families["vouch_certificate_not_after_seconds"], of="server") == [1_800_000_000]
    assert values(families["vouch_certificate_not_after_seconds"], of="client_ca") == [2]
    assert values(families["vouch_expected_servers"]) == [3]


def test_every_family_has_a_help_text_and_is_read_by_the_strict_parser_of_openmetrics() -> None:
    """That one checks names, units, order of buckets and that histograms agree with themselves."""
    families = list(openmetrics_families(openmetrics_text(StateCollector(state(), AROUND, BUILD)).decode()))

    assert len(families) == 35
    assert all(family.documentation.endswith(".") for family in families)
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}


def test_a_server_that_serves_nothing_yet_has_the_families_all_the_same() -> None:
    """An alert on one of them must not fail because there was no request yet."""
    empty = State(0.0, Counts(), (), 0, 0, (), (), 0, 0, 0)

    assert set(parsed(empty, Surroundings(Found(), {}, 1))) == set(parsed(state()))


def test_every_code_has_its_name() -> None:
    """The numbers that errors are mapped to mean what they are called."""
    assert {code: CODE_NAMES[code] for code in CODES.values()} == {code: code.name for code in CODES.values()}


def test_buckets_ascend() -> None:
    """From 10 microseconds to 10 seconds, and from one image to the largest run."""
    assert sorted(set(BOUNDS_NS)) == BOUNDS_NS
    assert (BOUNDS_NS[0], BOUNDS_NS[-1]) == (10_000, 10_000_000_000)
    assert tuple(sorted(set(BATCH_BOUNDS))) == BATCH_BOUNDS


def test_what_runs_here_is_told_without_loading_it() -> None:
    """Versions of what is installed."""
    build = build_info("grpcio", "cpu")

    assert build["version"] == __version__
    assert build["onnxruntime"].count(".") >= 1
    assert (build["transport"], build["provider"]) == ("grpcio", "cpu")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/openmetrics-text; version=1.0.0,text/plain;q=0.5", "application/openmetrics-text"),
        ("text/plain", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("", "text/plain; version=0.0.4"),
        ("text/plain; version=not.a.number", "text/plain; version=0.0.4"),
        (";;==,,", "text/plain; version=0.0.4"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(accept: str, content_type: str) -> None:
    """OpenMetrics where that is accepted; what makes no sense gets the plain text."""
    told, content = exposed(StateCollector(state(), AROUND, BUILD), accept)

    assert told.startswith(content_type)
    assert content.endswith(b"# EOF\n") == (content_type == "application/openmetrics-text")
