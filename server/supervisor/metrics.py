"""The counts of all workers, as Prometheus metrics. Turns values into families; knows neither sockets nor channels.

Labels are served names and versions, existing methods, and gRPC's codes: never a caller's text.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, groupby, islice
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector

from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import BOUNDS_NS, Requests, Statistics
from vouch.server.lineup.verdict import VerifiedVersion
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.state import State, Surroundings

CODE_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""Names by code number. Source: https://grpc.io/docs/guides/status-codes/"""
BOUNDS_S = tuple(bound / 1e9 for bound in BOUNDS_NS)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536)
"""Images per run; the last is the largest possible."""
PREDICTIONS = (
    *("vouch.v1.Classifier/Predict", "vouch.v1.Classifier/PredictStream"),
    *("inference.GRPCInferenceService/ModelInfer", "inference.GRPCInferenceService/ModelStreamInfer"),
)
"""The methods that alerts use."""
LOOKED_AT = (
    *("OK", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "RESOURCE_EXHAUSTED"),
    *("FAILED_PRECONDITION", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
)
"""The codes that alerts use. They start at 0: if a series first appeared at 7, its rise could not be seen."""
NAMED, NEWEST = 100, 10
"""How many refused versions and models' folders get a series each, and how many per model: their number is open."""
MODEL = ("model", "version")
REQUEST = ("method", *MODEL, "code")


class StateCollector(Collector):
    """The metrics of one state."""

    def __init__(self, state: State, around: Surroundings, build: Mapping[str, str]) -> None:
        """
        Args:
            build: label -> value, as of `build_info`.
        """
        self._state = state
        self._around = around
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """All families, including those without a sample."""
        yield from _of_requests(self._state.counts, self._state.served)
        yield from _of_runs(self._state.counts)
        yield from _of_accuracy(self._state.served)
        yield from _of_server(self._state)
        yield from _of_versions(self._state, self._around.found)
        yield from _of_surroundings(self._around)
        help_text = "Versions of Vouch and ONNX Runtime, transport and provider; always 1."
        build = GaugeMetricFamily("vouch_build_info", help_text, labels=tuple(self._build))
        build.add_metric(tuple(self._build.values()), 1)
        yield build


def exposed(collector: Collector, accepted: str) -> tuple[str, bytes]:
    """Content type and content: OpenMetrics if the request accepts it, else the plain text format.

    Args:
        accepted: the request's Accept headers.
    """
    try:
        encode, content_type = choose_encoder(accepted)
    except (TypeError, ValueError):  # for example, a version that is not a number
        encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    return content_type, encode(collector)


def _of_requests(counts: Counts, served: Iterable[VerifiedVersion]) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "vouch_requests",
        "Requests that have ended, by gRPC's status code. Each message of a prediction stream counts as one. Model and "
        "version are empty if the requested one is not served.",
        labels=REQUEST,
    )
    seconds = HistogramMetricFamily(
        "vouch_request_seconds", "How long requests took, from their arrival to their end.", labels=REQUEST
    )
    models = [("", ""), *((one.name, str(one.version)) for one in served)]
    ended = {(method, *model, code): 0 for model in models for method in PREDICTIONS for code in LOOKED_AT}
    for model, requests in ((("", ""), counts.requests), *((key, one.requests) for key, one in _versions(counts))):
        for labels, buckets, ns in _ended(requests, model):
            ended[labels] = sum(buckets)
            seconds.add_metric(labels, _cumulated(buckets), ns / 1e9)
    for labels, count in ended.items():
        total.add_metric(labels, count)
    yield total
    yield seconds


def _ended(requests: Requests, model: tuple[str, str]) -> Iterator[tuple[tuple[str, str, str, str], list[int], int]]:
    """Labels, buckets and total nanoseconds, for each method and code."""
    for path, codes in sorted(requests.methods.items()):
        for code, times in sorted(codes.items()):
            yield (path.removeprefix("/"), *model, CODE_NAMES[code]), times.buckets, times.ns


def _of_runs(counts: Counts) -> Iterator[Metric]:
    queue = HistogramMetricFamily(
        "vouch_queue_seconds",
        "How long answered requests waited for the model, under load or while a batch filled.",
        labels=MODEL,
    )
    run = HistogramMetricFamily("vouch_run_seconds", "How long runs of the model took.", labels=MODEL)
    batch = HistogramMetricFamily("vouch_batch_images", "Images per run of the model.", labels=MODEL)
    failed = CounterMetricFamily(
        "vouch_failed_requests",
        "Requests whose run of the model failed or gave no usable answer: see the server's log.",
        labels=MODEL,
    )
    unusable = CounterMetricFamily(
        "vouch_unusable_answers",
        "Images for which the model returned values that are not finite or are no probabilities. Their calls failed.",
        labels=MODEL,
    )
    waiting = GaugeMetricFamily(
        "vouch_queue_images", "Images that wait for the model now, in all workers.", labels=("model",)
    )
    for model, one in _versions(counts):
        queue.add_metric(model, _cumulated(one.queue_times), one.queue.ns / 1e9)
        run.add_metric(model, _cumulated(one.run_times), sum(runs.ns for runs in one.runs.values()) / 1e9)
        batch.add_metric(model, _cumulated(_by_size(one), BATCH_BOUNDS), one.images)
        failed.add_metric(model, one.fail.count)
        unusable.add_metric(model, one.unusable_images)
    for name, images in sorted(counts.waiting_images.items()):
        waiting.add_metric([name], images)
    held = GaugeMetricFamily(
        "vouch_held_bytes",
        "Bytes in use for callers now, in all workers, by kind (--max-held-bytes).",
        labels=("kind",),
    )
    for kind, count in sorted(counts.held_bytes.items()):
        held.add_metric([kind], count)
    yield from (queue, run, batch, failed, unusable, waiting, held)


def _of_accuracy(served: Iterable[VerifiedVersion]) -> Iterator[Metric]:
    families = {
        (what, end): GaugeMetricFamily(f"vouch_accuracy_{what}{suffix}", f"{text}, 0 to 1.", labels=MODEL)
        for what, of in (("claim", "that training claims"), ("served", "that the server counted before serving"))
        for end, suffix, text in (
            ("accuracy", "", f"Accuracy {of}"),
            ("low", "_low", f"Lower end of the 95 % interval of the accuracy {of}"),
            ("high", "_high", f"Upper end of the 95 % interval of the accuracy {of}"),
        )
    }
    differing = GaugeMetricFamily(
        "vouch_differing_answers",
        "Validation images whose answer in the recount differed from the claimed one (--max-differing).",
        labels=MODEL,
    )
    for one in served:
        labels = [one.name, str(one.version)]
        differing.add_metric(labels, one.verdict.recount.differing)
        for (what, end), family in families.items():
            family.add_metric(labels, getattr(getattr(one.verdict, what), end))
    yield from (*families.values(), differing)


def _of_server(state: State) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "vouch_start_time_seconds", "When this server started, in seconds since 1970.", state.started_s
    )
    yield CounterMetricFamily("vouch_installs", "Versions that began to be served.", state.installs)
    yield CounterMetricFamily(
        "vouch_refusals", "Versions that were refused: vouch status and the log give the reasons.", state.refusals
    )
    yield GaugeMetricFamily(
        "vouch_refused_versions", "Versions above the served one that are refused now.", len(state.refused)
    )
    yield GaugeMetricFamily("vouch_workers", "Worker processes that take calls now.", state.workers)
    yield GaugeMetricFamily("vouch_ready_workers", "Workers that serve at least one model.", state.ready_workers)
    yield CounterMetricFamily(
        "vouch_worker_restarts", "Workers that ended unexpectedly; each is replaced.", state.restarts
    )


def _of_versions(state: State, found: Found) -> Iterator[Metric]:
    served = GaugeMetricFamily(
        "vouch_served_version",
        "The version that answers; digest is the first 12 digits of its manifest's SHA-256.",
        labels=("model", "digest"),
    )
    for one in state.served:
        served.add_metric((one.name, one.verdict.digest[:12]), one.version)
    refused = GaugeMetricFamily(
        "vouch_refused_version",
        "A version that is refused now; always 1. At most 100 are listed, and at most the newest 10 of each model.",
        labels=MODEL,
    )
    for name, version in islice(_newest(state.refused), NAMED):
        refused.add_metric((name, str(version)), 1)
    held_back, than = (
        GaugeMetricFamily(f"vouch_held_back{suffix}_accuracy", f"{text}, 0 to 1.", labels=MODEL)
        for suffix, text in (
            ("", "Claimed accuracy of a version that is held back, because it is worse than an older one"),
            ("_than", "Claimed accuracy of the older version that the one of these labels is worse than"),
        )
    )
    for one, why in state.held_back[-NAMED:]:
        held_back.add_metric((one.name, str(one.version)), why.claim.accuracy)
        than.add_metric((one.name, str(one.version)), why.better.accuracy)
    there = GaugeMetricFamily(
        "vouch_served_folder_there",
        "Whether the served version is still in the models folder as published, 1 or 0.",
        labels=MODEL,
    )
    for (name, version), is_there in sorted(found.there.items()):
        there.add_metric((name, str(version)), is_there)
    yield from (served, refused, held_back, than, there)


def _of_surroundings(around: Surroundings) -> Iterator[Metric]:
    found = around.found
    yield GaugeMetricFamily(
        "vouch_models_folder_readable", "Whether the models folder could be read recently, 1 or 0.", found.readable
    )
    yield GaugeMetricFamily(
        "vouch_models_found",
        "Models with at least one version in the models folder.",
        sum(map(bool, found.versions.values())),
    )
    versions = GaugeMetricFamily(
        "vouch_model_versions",
        "Versions of a model in the models folder; 0 if all were removed. At most 100 models are listed.",
        labels=("model",),
    )
    for name, count in sorted(found.versions.items())[:NAMED]:
        versions.add_metric([name], count)
    yield versions
    begins, ends = (
        GaugeMetricFamily(f"vouch_certificate_not_{when}_seconds", f"{text}, in seconds since 1970.", labels=["of"])
        for when, text in (
            ("before", "When the certificate in use becomes valid"),
            ("after", "When the certificate in use expires"),
        )
    )
    for whose, validity in sorted(around.certificates.items()):
        begins.add_metric([whose], validity.not_before_s)
        ends.add_metric([whose], validity.not_after_s)
    yield from (begins, ends)
    yield GaugeMetricFamily(
        "vouch_expected_servers", "Number of servers that should run (--expected-servers).", around.expected_servers
    )


def _newest(versions: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
    """The newest few of each model, so that no model uses up the limit."""
    for _, of_one in groupby(sorted(versions), key=lambda one: one[0]):
        yield from [*of_one][-NEWEST:]


def _versions(counts: Counts) -> list[tuple[tuple[str, str], Statistics]]:
    return [
        ((name, str(version)), one)
        for name, versions in sorted(counts.versions.items())
        for version, one in sorted(versions.items())
    ]


def _by_size(one: Statistics) -> list[int]:
    """Number of runs in each bucket of `BATCH_BOUNDS`."""
    buckets = [0] * (len(BATCH_BOUNDS) + 1)
    for images, runs in one.runs.items():
        buckets[bisect_left(BATCH_BOUNDS, images)] += runs.count
    return buckets


def _cumulated(buckets: Iterable[int], bounds: Iterable[float] = BOUNDS_S) -> list[tuple[str, float]]:
    """Cumulative buckets, as Prometheus expects them: (upper bound, count of values up to it)."""
    return [(_written(bound), count) for bound, count in zip([*bounds, inf], accumulate(buckets), strict=True)]


def _written(bound: float) -> str:
    """A bound in the text formats' notation."""
    return "+Inf" if bound == inf else repr(float(bound))
