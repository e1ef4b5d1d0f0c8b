"""A version's counts, summed over all workers, as Triton's ModelStatistics. Each message is a snapshot: nothing is
awaited while it is made.

perf_analyzer uses the version whose queue count grew, and expects the three compute counts to grow equally.
"""

from collections.abc import Awaitable, Callable

from vouch.protos.inference import inference_pb2 as pb
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import Span, Statistics
from vouch.server.errors import InvalidRequest, NotReady, UnknownModel, quoted
from vouch.server.serving.catalog import Catalog
from vouch.server.serving.served import Served

Total = Callable[[], Awaitable[Counts]]
"""Returns the counts of all workers. Raises CountsUnknown."""


def counted_here(catalog: Catalog) -> Total:
    """The total if there is only this process."""

    async def counts() -> Counts:
        return Counts(
            {entry.name: {one.version: one.statistics for one in entry.versions} for entry in catalog.entries()}
        )

    return counts


def served_versions(catalog: Catalog, name: str, version: int) -> list[Served]:
    """The versions that a request means.

    Args:
        name: empty for every model.
        version: 0 for the live one, or for all of every model.

    Raises:
        InvalidRequest: the model or its version is not served. Triton uses this status here; other calls use others.
    """
    if not name:
        return [one for entry in catalog.entries() for one in entry.versions if version in (0, one.version)]
    try:
        return [catalog.find(name, version)]
    except (UnknownModel, NotReady) as err:
        raise InvalidRequest(f"requested model {quoted(name)} is not available: {err}") from err


def model_statistics(name: str, version: int, counts: Statistics) -> pb.ModelStatistics:
    """All counts of one version."""
    untimed = Span(counts.compute.count)
    return pb.ModelStatistics(
        name=name,
        version=str(version),
        last_inference=counts.last_run_ms,
        inference_count=counts.images,
        execution_count=sum(runs.count for runs in counts.runs.values()),
        inference_stats=pb.InferStatistics(
            success=_duration(counts.success),
            fail=_duration(counts.fail),
            queue=_duration(counts.queue),
            compute_input=_duration(untimed),
            compute_infer=_duration(counts.compute),
            compute_output=_duration(untimed),
            cache_hit=pb.StatisticDuration(),
            cache_miss=pb.StatisticDuration(),
        ),
        batch_stats=[_of_size(size, runs) for size, runs in sorted(counts.runs.items())],
    )


def _of_size(size: int, runs: Span) -> pb.InferBatchStatistics:
    untimed = _duration(Span(runs.count))
    return pb.InferBatchStatistics(
        batch_size=size, compute_input=untimed, compute_infer=_duration(runs), compute_output=untimed
    )


def _duration(span: Span) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=span.count, ns=span.ns)
