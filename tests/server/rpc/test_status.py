import logging

import pytest

from vouch.server import errors
from vouch.server.errors import DomainError, InvalidRequest, ModelFailed
from vouch.server.rpc.status import CODES, Code, status_of

NEVER_REACH_A_CALLER = {errors.Refused, errors.Incomplete, errors.StartFailed, errors.Undecided}
"""Raised before a version or the server is there to be called."""


def test_every_domain_error_has_its_place() -> None:
    """An error is either in the table, or one of the few that are ours or never meet a caller."""
    all_errors = {value for value in vars(errors).values() if isinstance(value, type) and value is not DomainError}

    assert all_errors - set(CODES) == {ModelFailed} | NEVER_REACH_A_CALLER


def test_the_callers_mistake_keeps_its_message() -> None:
    """What is meant for the caller reaches it word for word."""
    assert status_of(InvalidRequest("expected this, got that"), "/path") == status_of(
        InvalidRequest("expected this, got that"), "/other"
    )
    assert status_of(InvalidRequest("expected this"), "/path").code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("err", [ModelFailed("secret of the model"), ZeroDivisionError("secret of the house")])
def test_our_fault_is_an_id_for_the_caller_and_a_traceback_in_our_log(
    err: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns nothing of the inside, and whoever reads the log finds the error by the id."""
    with caplog.at_level(logging.ERROR):
        status = status_of(err, "/vouch.v1.Classifier/Predict")

    error_id = status.message.rsplit(" ", 1)[1]
    assert status.code is Code.INTERNAL
    assert "secret" not in status.message
    assert error_id in caplog.text
    assert "secret" in caplog.text
    assert "/vouch.v1.Classifier/Predict" in caplog.text


def test_a_message_is_bounded_in_bytes() -> None:
    """It travels in a header, where a letter of another alphabet takes up to twelve."""
    message = status_of(InvalidRequest("\u540d" * 2000), "/path").message

    assert 900 < len(message.encode()) <= 1003
    assert message.endswith("\u540d...")


def test_a_flood_of_the_same_fault_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """All callers are told the id that stands there; another fault, or of another method, has a line of its own."""

    def fail(where: int) -> Exception:
        try:
            [][where]
        except IndexError as err:
            return err
        raise AssertionError

    with caplog.at_level(logging.ERROR):
        told = {status_of(fail(call), "/a").message for call in range(1000)}
        others = {status_of(fail(0), "/b").message, status_of(ModelFailed("why"), "/a").message}

    assert len(told) == 1
    assert len(others) == 2
    assert len(caplog.records) == 3
