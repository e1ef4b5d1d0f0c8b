import pytest

from tests.trainer.report.runs import finished
from vouch.trainer.report.finished import Run
from vouch.trainer.report.page import report_html
from vouch.trainer.report.recorder import Recorder
from vouch.trainer.splits.split import Splits


@pytest.fixture(scope="session")
def learned_digits(splits: Splits) -> tuple[Run, Recorder]:
    """A single layer that has learned the digits, and who watched it."""
    return finished(splits)


@pytest.fixture(scope="session")
def digits_page(learned_digits: tuple[Run, Recorder]) -> bytes:
    """Its report."""
    return report_html(*learned_digits)
