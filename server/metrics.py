"""What all workers counted, as Prometheus' metrics. Turns values into families and knows neither sockets nor channels.

Labels are names and versions that are or were served, methods that there are, and gRPC's codes: never a caller's text.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder, generate_latest
from prometheus_client.registry import Collector

from vouch.server.counts import Counts
from vouch.server.state import ServedModel, State
from vouch.server.statistics import BOUNDS_NS, Requests, Statistics

CODE_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""By number. Source: https://grpc.io/docs/guides/status-codes/"""
BOUNDS_S = tuple(bound / 1e9 for bound in BOUNDS_NS)
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16_384, 65_536)
"""Images of a run; the last is the largest that there can be."""
PREDICTIONS = (
    *("vouch.v1.Classifier/Predict", "vouch.v1.Classifier/PredictStream"),
    *("inference.GRPCInferenceService/ModelInfer", "inference.GRPCInferenceService/ModelStreamInfer"),
)
"""The methods that alerts look at."""
FAILURES = ("UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS")
"""The codes that alerts look at. They are told from 0 on: of a series that begins at 7 nobody knows that it rose."""
MODEL = ("model", "version")
REQUEST = ("method", *MODEL, "code")


class StateCollector(Collector):
    """The metrics of one state."""

    def __init__(self, state: State, build: Mapping[str, str]) -> None:
        """
        Args:
            build: what runs here: label -> value.
        """
        self._state = state
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """All families, those without a sample too."""
        yield from _of_requests(self._state.counts, self._state.served)
        yield from _of_runs(self._state.counts)
        yield from _of_accuracy(self._state.served)
        yield from _of_server(self._state)
        build = GaugeMetricFamily("vouch_build_info", "What runs here; always 1.", labels=tuple(self._build))
        build.add_metric(tuple(self._build.values()), 1)
        yield build


def exposed(collector: Collector, accepted: str) -> tuple[str, bytes]:
    """Content type and content: OpenMetrics for those who ask for it, else the plain text format.

    Args:
        accepted: the request's Accept headers.
    """
    try:
        encode, content_type = choose_encoder(accepted)
    except (TypeError, ValueError):  # a version that is no number, say
        encode, content_type = generate_latest, CONTENT_TYPE_PLAIN_0_0_4
    return content_type, encode(collector)


def _of_requests(counts: Counts, served: Iterable[ServedModel]) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "vouch_requests",
        "Requests that have ended, by gRPC's status code. Each message of a stream of predictions is one. Model and "
        "version are empty where none that is served was asked for.",
        labels=REQUEST,
    )
    seconds = HistogramMetricFamily(
        "vouch_request_seconds", "How long requests took, from their arrival to their end.", labels=REQUEST
    )
    models = [("", ""), *((one.name, str(one.version)) for one in served)]
    ended = {(method, *model, code): 0 for model in models for method in PREDICTIONS for code in FAILURES}
    for model, requests in ((("", ""), counts.requests), *((key, one.requests) for key, one in _versions(counts))):
        for labels, buckets, ns in _ended(requests, model):
            ended[labels] = sum(buckets)
            seconds.add_metric(labels, _cumulated(buckets), ns / 1e9)
    for labels, count in ended.items():
        total.add_metric(labels, count)
    yield total
    yield seconds


def _ended(requests: Requests, model: tuple[str, str]) -> Iterator[tuple[tuple[str, str, str, str], list[int], int]]:
    """Labels, buckets and nanoseconds in all, for each method and code."""
    for path, codes in sorted(requests.methods.items()):
        for code, times in sorted(codes.items()):
            yield (path.removeprefix("/"), *model, CODE_NAMES[code]), times.buckets, times.ns


def _of_runs(counts: Counts) -> Iterator[Metric]:
    queue = HistogramMetricFamily(
        "vouch_queue_seconds",
        "How long answered requests waited for the model: under load, and while a batch fills.",
        labels=MODEL,
    )
    run = HistogramMetricFamily("vouch_run_seconds", "How long runs of the model took.", labels=MODEL)
    batch = HistogramMetricFamily("vouch_batch_images", "Images that ran together.", labels=MODEL)
    failed = CounterMetricFamily(
        "vouch_failed_requests", "Requests whose run of the model failed: look in the server's log.", labels=MODEL
    )
    waiting = GaugeMetricFamily(
        "vouch_queue_images", "Images that wait for the model now, in all workers.", labels=("model",)
    )
    for model, one in _versions(counts):
        queue.add_metric(model, _cumulated(one.queue_times), one.queue.ns / 1e9)
        run.add_metric(model, _cumulated(one.run_times), sum(runs.ns for runs in one.runs.values()) / 1e9)
        batch.add_metric(model, _cumulated(_by_size(one), BATCH_BOUNDS), one.images)
        failed.add_metric(model, one.fail.count)
    for name, images in sorted(counts.waiting_images.items()):
        waiting.add_metric([name], images)
    yield from (queue, run, batch, failed, waiting)


def _of_accuracy(served: Iterable[ServedModel]) -> Iterator[Metric]:
    families = {
        (what, end): GaugeMetricFamily(f"vouch_accuracy_{what}{suffix}", f"{text}, 0 to 1.", labels=MODEL)
        for what, of in (("claim", "that training claims"), ("served", "that the server counted before serving"))
        for end, suffix, text in (
            ("accuracy", "", f"Accuracy {of}"),
            ("low", "_low", f"Lower end of the 95 % interval (Wilson) of the accuracy {of}"),
            ("high", "_high", f"Upper end of the 95 % interval (Wilson) of the accuracy {of}"),
        )
    }
    for one in served:
        for (what, end), family in families.items():
            family.add_metric([one.name, str(one.version)], getattr(getattr(one, what), end))
    yield from families.values()


def _of_server(state: State) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "vouch_start_time_seconds", "When this server started, in seconds since 1970.", state.started_s
    )
    yield CounterMetricFamily("vouch_installs", "Versions that came to be served.", state.installs)
    yield CounterMetricFamily(
        "vouch_refusals", "Versions that were refused: vouch status and the log have the reasons.", state.refusals
    )
    yield GaugeMetricFamily(
        "vouch_refused_versions", "Versions above the served one that are refused now.", state.refused
    )
    yield GaugeMetricFamily("vouch_workers", "Worker processes that are there now.", state.workers)
    yield GaugeMetricFamily("vouch_ready_workers", "Of these, that serve at least one model.", state.ready_workers)
    yield CounterMetricFamily("vouch_worker_restarts", "Workers that ended unasked; each is replaced.", state.restarts)


def _versions(counts: Counts) -> list[tuple[tuple[str, str], Statistics]]:
    return [
        ((name, str(version)), one)
        for name, versions in sorted(counts.versions.items())
        for version, one in sorted(versions.items())
    ]


def _by_size(one: Statistics) -> list[int]:
    """Runs by the number of their images, in buckets."""
    buckets = [0] * (len(BATCH_BOUNDS) + 1)
    for images, runs in one.runs.items():
        buckets[bisect_left(BATCH_BOUNDS, images)] += runs.count
    return buckets


def _cumulated(buckets: Iterable[int], bounds: Iterable[float] = BOUNDS_S) -> list[tuple[str, float]]:
    """As Prometheus wants them: (upper end, how many were at most so much)."""
    return [(_written(bound), count) for bound, count in zip([*bounds, inf], accumulate(buckets), strict=True)]


def _written(bound: float) -> str:
    """As the text formats have it."""
    return "+Inf" if bound == inf else repr(float(bound))
