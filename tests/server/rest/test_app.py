import asyncio
from typing import Any

import pytest

from tests.server.rest.conftest import Rest
from tests.server.rest.test_predict import png
from tests.support.tiny import publish_tiny, tiny_images
from vouch.server.errors import DomainError
from vouch.server.rest.guard import Guard, is_loopback
from vouch.server.rest.problem import CODES
from vouch.server.rpc import status


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v2", "extensions"),
        ("/v2/models/tiny", "inputs"),
        ("/v2/models/tiny/versions/1", "inputs"),
        ("/v2/models/tiny/config", "max_batch_size"),
        ("/v2/models/tiny/stats", "model_stats"),
        ("/v2/models/stats", "model_stats"),
        ("/v1/models", "models"),
        ("/v1/models/tiny", "model"),
        ("/openapi.json", "paths"),
    ],
)
async def test_what_can_be_asked_of_models_is_answered_as_json(rest: Rest, path: str, field: str) -> None:
    """HEAD gets the headers of GET, and no body."""
    answer, head = await rest.ask("GET", path), await rest.ask("HEAD", path)

    assert (answer.status, answer.kind) == (200, "application/json")
    assert field in answer.json
    assert (head.status, head.headers["content-length"], head.body) == (200, str(len(answer.body)), b"")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_model_is_described_as_over_grpc(rest: Rest) -> None:
    """With the protocol's names; enums are words."""
    model = (await rest.ask("GET", "/v1/models/tiny")).json["model"]
    (version,) = model["versions"]

    assert (model["name"], model["state"], version["role"], version["task"]) == (
        "tiny",
        "serving",
        "live",
        "single_label",
    )
    assert version["claim"]["total"] == version["served"]["total"] > 0
    assert version["labels"] == ["first", "second", "third"]


async def test_every_version_is_listed(rest: Rest) -> None:
    """As Triton's HTTP has it: a list."""
    assert (await rest.ask("POST", "/v2/repository/index", b"{}")).json == [
        {"name": "tiny", "version": "1", "state": "READY", "reason": ""}
    ]


async def test_health_is_a_code(rest: Rest) -> None:
    """200, or 503 while the server or the model is not ready."""
    paths = ("/v2/health/live", "/v2/health/ready", "/v2/models/tiny/ready", "/v2/models/tiny/versions/1/ready")
    assert [(await rest.ask("GET", path)).status for path in paths] == [200] * 4

    rest.readiness.drain()
    rest.published.verify("new", 1)
    assert (await rest.ask("GET", "/v2/health/ready")).status == 503
    not_yet = await rest.ask("GET", "/v2/models/new/ready")
    assert (not_yet.status, not_yet.kind) == (503, "application/problem+json")
    assert (await rest.ask("GET", "/v2/models/tiny/versions/7/ready")).status == 503


async def test_the_claim_is_recounted_line_by_line(rest: Rest) -> None:
    """The last line has all images of the claim."""
    answer = await rest.ask("POST", "/v1/models/tiny:evaluate")
    last = answer.content.splitlines()[-1]

    assert (answer.status, answer.kind) == (200, "application/x-ndjson")
    assert b'"served":{"correct":' in last


@pytest.mark.parametrize(
    ("verb", "path", "expected"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/models/cats", 404),
        ("GET", "/v2/models/cats", 404),
        ("GET", "/v2/models/tiny/versions/7", 404),
        ("GET", "/v2/models/tiny/versions/x", 400),
        ("GET", "/v1/models?colour=red", 400),
        ("POST", "/v1/models", 405),
        ("GET", "/v2/models/tiny/infer", 405),
        ("PUT", "/v1/models/tiny", 405),
        ("POST", "/v2/repository/models/tiny/load", 403),
        ("POST", "/v2/repository/models/tiny/unload", 403),
        ("GET", "/v1/models/a/b", 404),
    ],
)
async def test_what_fails_is_a_problem(rest: Rest, verb: str, path: str, expected: int) -> None:
    """RFC 9457: type, title, status, detail."""
    answer = await rest.ask(verb, path)

    assert (answer.status, answer.kind) == (expected, "application/problem+json")
    assert {"type", "title", "status", "detail"} <= answer.json.keys()
    assert answer.json["status"] == expected
    if expected == 405:
        assert answer.headers["allow"]


async def test_a_server_that_drains_says_when_to_come_back(rest: Rest) -> None:
    async with asyncio.timeout(10):
        await rest.gate.close(0)
    answer = await rest.ask("GET", "/v1/models")

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


async def test_a_deadline_holds_as_over_grpc(rest: Rest) -> None:
    """The same header; what it says wrongly is the caller's fault."""
    late = await rest.ask("POST", "/v1/models/tiny:predict", png(tiny_images(1)[0][0]), grpc_timeout="0n")
    wrong = await rest.ask("POST", "/v1/models/tiny:predict", b"x" * 10, grpc_timeout="soon")

    assert (late.status, wrong.status) == (504, 400)


async def test_requests_are_counted_with_those_of_grpc(rest: Rest) -> None:
    """Under the method that answered; what is no call under none."""
    await rest.ask("GET", "/v1/models")
    await rest.ask("GET", "/nothing")
    counted = {method.path: method.requests.methods for method in rest.methods}

    assert list(counted["/vouch.v1.Classifier/ListModels"]) == ["/vouch.v1.Classifier/ListModels"]
    assert list(counted[""]) == [""]


async def test_a_failure_of_ours_is_an_id(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason stands in the log alone."""
    monkeypatch.setattr(rest.catalog, "entries", lambda: 1 / 0)
    answer = await rest.ask("GET", "/v1/models")

    assert answer.status == 500
    assert "division" not in answer.json["detail"]
    assert "the reason is in the server's log, under error" in answer.json["detail"]


def test_every_error_that_callers_are_told_has_a_code() -> None:
    """HTTP's table has the errors of gRPC's."""
    assert set(CODES) == set(status.CODES)
    assert all(issubclass(error, DomainError) or error.__name__ == "InvalidImage" for error in CODES)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:8081", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8081", 200),
        ("127.8.0.1", 200),
        ("[::1]:8081", 200),
        ("vouch.localhost:1", 200),
        ("proxy.example", 200),
        ("evil.example:8081", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.1", 421),
    ],
)
async def test_a_loopback_server_answers_to_loopbacks_names_alone(rest: Rest, host: str, expected: int) -> None:
    """A name that an attacker's DNS leads to 127.0.0.1 is none of them."""
    rest.guard = Guard("127.0.0.1", hosts=["Proxy.example"])

    assert (await rest.ask("GET", "/v1/models", host=host)).status == expected


async def test_another_server_answers_to_any_name(rest: Rest) -> None:
    rest.guard = Guard("0.0.0.0")

    assert (await rest.ask("GET", "/v1/models", host="any.example")).status == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9000", "http://localhost:80810"])
async def test_pages_of_others_may_not_post(rest: Rest, origin: str) -> None:
    """Nor read: no answer says that they may."""
    posted = await rest.ask("POST", "/v1/models/tiny:predict", b"x", origin=origin)
    asked = await rest.ask("OPTIONS", "/v1/models/tiny:predict", origin=origin, access_control_request_method="POST")
    read = await rest.ask("GET", "/v1/models", origin=origin)

    assert [answer.status for answer in (posted, asked, read)] == [403, 403, 200]
    assert not any("access-control-allow-origin" in answer.headers for answer in (posted, asked, read))


async def test_our_own_pages_may_post(rest: Rest) -> None:
    answer = await rest.ask("POST", "/v1/models/tiny:predict", b"x", origin="http://localhost:8081")

    assert answer.status == 400  # x is no image


async def test_an_origin_that_is_allowed_may_call(rest: Rest) -> None:
    """A browser asks first, and the answers say so too."""
    rest.guard = Guard("127.0.0.1", origins=["https://shop.example"])
    said: dict[str, Any] = {"origin": "https://shop.example"}
    asked = await rest.ask("OPTIONS", "/v1/models/tiny:predict", access_control_request_method="POST", **said)
    read = await rest.ask("GET", "/v1/models", **said)
    other = await rest.ask("POST", "/v1/models/tiny:predict", b"x", origin="https://other.example")

    assert asked.status == 204
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert read.headers["access-control-allow-origin"] == "https://shop.example"
    assert other.status == 403


async def test_grpc_over_http_1_is_none(rest: Rest) -> None:
    """A page cannot get past the checks of its host and origin by calling itself gRPC."""
    answer = await rest.ask(
        "POST",
        "/vouch.v1.Classifier/ListModels",
        b"\0" * 5,
        kind="application/grpc",
        te="trailers",
        host="evil.example",
    )

    assert answer.status == 421


async def test_what_a_page_shows_is_within_the_budget(rest: Rest) -> None:
    """As every answer is."""
    rest.budget.total_bytes = 5000
    answer = await rest.ask("GET", "/openapi.json")

    assert answer.status == 400
    assert "can never fit" in answer.json["detail"]


@pytest.mark.parametrize(
    ("name", "expected"), [("localhost", True), ("::1", True), ("127.1.2.3", True), ("0.0.0.0", False), ("a.b", False)]
)
def test_loopback_is_this_machine_alone(name: str, expected: bool) -> None:
    assert is_loopback(name) is expected


async def test_two_models_are_told_apart(rest: Rest) -> None:
    rest.install(publish_tiny(rest.folder, "other"))

    assert [one["name"] for one in (await rest.ask("GET", "/v1/models")).json["models"]] == ["other", "tiny"]
