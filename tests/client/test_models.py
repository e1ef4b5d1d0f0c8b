import pytest

from vouch.client.models import RunPlan, read_calibration, read_plan
from vouch.protos.vouch.v1 import classifier_pb2 as pb


@pytest.mark.parametrize(
    ("method", "known"),
    [
        (pb.CALIBRATION_METHOD_SPLIT, ("split", 60, None)),
        (pb.CALIBRATION_METHOD_CROSS, ("cross", 60, 5)),
        (pb.CALIBRATION_METHOD_UNSPECIFIED, (None, None, None)),
        (7, (None, None, None)),
    ],
)
def test_a_method_is_read_where_it_is_known(method: int, known: tuple[str | None, int | None, int | None]) -> None:
    """An older server says none; what a newer one says is taken for none, and the rest is read as ever."""
    folds = 5 if method == pb.CALIBRATION_METHOD_CROSS else 0
    withheld = [pb.WithheldCoverage(coverage=0.99, needed=230, judged=60)]
    message = pb.Calibration(temperature=1.5, judged=60, folds=folds, withheld=withheld)
    message = pb.Calibration.FromString(message.SerializeToString() + bytes([6 << 3, method]))

    found = read_calibration(message)

    assert (found.method, found.judged, found.folds) == known
    assert [(one.coverage, one.needed, one.judged) for one in found.withheld] == [(0.99, 230, 60)]
    assert found.temperature == 1.5


def test_a_server_that_says_nothing_of_runs_at_once_makes_one() -> None:
    """It is older."""
    assert read_plan(pb.RunPlan(threads=2, inline_images=8)) == RunPlan(2, 8, 1)
    assert read_plan(pb.RunPlan(threads=2, at_once=2)) == RunPlan(2, 0, 2)
