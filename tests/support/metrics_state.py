"""What a server counts and sees at one moment, made up, for those who turn it into metrics."""

from pathlib import Path

from vouch.bundle.accuracy import Accuracy
from vouch.server.counting.counts import Counts
from vouch.server.counting.statistics import BatchDone, Requests, Statistics
from vouch.server.lineup.comparing import Compared, Worse
from vouch.server.lineup.lineup import RunPlan
from vouch.server.lineup.verdict import Verdict, VerifiedVersion
from vouch.server.supervisor.presence import Found
from vouch.server.supervisor.state import State, Surroundings
from vouch.server.transport.tls import Validity

PREDICT = "/vouch.v1.Classifier/Predict"
BUILD = {"version": "1.2", "onnxruntime": "3.4", "transport": "h2corn", "provider": "cpu"}


VERDICT = Verdict(
    digest="1234567890ab" + "c" * 52,
    claim=Accuracy(correct=97, total=100),
    served=Accuracy(correct=98, total=100),
    compared=Compared(classes="0" * 64),
    plan=RunPlan(),
    files={},
)

WORSE = Worse(3, Accuracy(correct=6, total=100), Accuracy(correct=97, total=100), 1e-20)


def state() -> State:
    """One version with three runs and four requests, and a request about none."""
    version = Statistics()
    version.add(BatchDone(images=2, waits_ns=(10_000, 10_001), run_ns=30_000))
    version.add(BatchDone(images=100, waits_ns=(20_000_000_000,), run_ns=2_000_000))
    version.add(BatchDone(images=3, waits_ns=(5, 6), run_ns=1, failed=True))
    for code, ns in ((0, 40_000), (0, 60_000), (0, 30_000_000_000), (8, 1_000)):
        version.requests.add(PREDICT, code, ns)
    others = Requests()
    others.add(PREDICT, 5, 1_000)
    return State(
        started_s=1_790_000_000.25,
        counts=Counts({"a": {3: version}}, others, {"a": 7}, {"received": 5000}),
        served=(VerifiedVersion("a", 3, Path("a/3"), VERDICT),),
        installs=3,
        refusals=2,
        refused=(("a", 4), ("a", 5)),
        held_back=((VerifiedVersion("a", 6, Path("a/6"), VERDICT), WORSE),),
        workers=4,
        ready_workers=3,
        restarts=5,
    )


AROUND = Surroundings(
    Found(True, {"a": 2, "b": 1, "emptied": 0}, {("a", 3): False, ("b", 1): True}),
    {"server": Validity(1_700_000_000.0, 1_800_000_000.0), "client_ca": Validity(1.0, 2.0)},
    3,
)
