import logging
import sys

import pytest
from pydantic import ValidationError

from vouch.server.errors import StartFailed
from vouch.server.settings import ServeSettings
from vouch.server.transport.choice import chosen_transport


def test_h2corn_serves_unless_grpcio_is_asked_for() -> None:
    assert chosen_transport(ServeSettings().transport) == "h2corn"
    assert chosen_transport("h2corn") == "h2corn"
    assert chosen_transport("grpcio") == "grpcio"


def test_without_h2corn_grpcio_serves_and_one_line_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on platforms without a wheel; whoever asked for h2corn is told."""
    monkeypatch.setitem(sys.modules, "h2corn._lib", None)
    with caplog.at_level(logging.WARNING):
        assert chosen_transport(None) == "grpcio"

    (line,) = caplog.messages
    assert line.startswith("h2corn, which is faster, cannot be loaded (")
    with pytest.raises(StartFailed, match="--transport h2corn cannot be loaded"):
        chosen_transport("h2corn")


@pytest.mark.parametrize("left", ["envoy", "auto"])
def test_a_transport_that_has_left_names_its_successor(left: str) -> None:
    with pytest.raises(ValidationError, match=f"{left} was removed: h2corn replaces it and is the default"):
        ServeSettings.model_validate({"transport": left})
