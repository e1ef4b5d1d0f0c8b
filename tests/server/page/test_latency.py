from vouch.server.counting.statistics import Requests
from vouch.server.page.latency import latency

PREDICT, EVALUATE = "/vouch.v1.Classifier/Predict", "/vouch.v1.Classifier/Evaluate"
MS = 1_000_000


def test_no_request_has_no_latency() -> None:
    """Nothing is made up."""
    assert latency(Requests()) == {"requests": 0, "half_ms": None, "most_ms": None}


def test_figures_are_upper_ends_of_buckets() -> None:
    """98 of 100 requests took 2 ms, two took 80 ms; failed ones and recounts are not among them."""
    requests = Requests()
    for _ in range(98):
        requests.add(PREDICT, 0, 2 * MS)
    for _ in range(2):
        requests.add(PREDICT, 0, 80 * MS)
    requests.add(PREDICT, 3, 9_000 * MS)
    requests.add(EVALUATE, 0, 9_000 * MS)

    assert latency(requests) == {"requests": 100, "half_ms": 2.5, "most_ms": 100.0}


def test_what_took_longer_than_every_bucket_has_no_bound() -> None:
    """A minute is over 10 s, and how long is not known."""
    requests = Requests()
    requests.add(PREDICT, 0, 60_000 * MS)

    assert latency(requests) == {"requests": 1, "half_ms": None, "most_ms": None}
