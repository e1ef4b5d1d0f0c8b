"""The page and what it asks for, over HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.digits_model import publish_digits
from tests.support.page_server import PageServer
from tests.support.tiny import publish_tiny
from vouch.bundle.store import ModelsFolder

VERSION = "/v1/models/digits/versions/1"
HIDDEN = ("report", "examples", "examples/0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelsFolder:
    return ModelsFolder(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def server(folder: ModelsFolder) -> Iterator[PageServer]:
    """On a loopback address, with nothing said of images."""
    server = PageServer(publish_digits(folder), publish_tiny(folder))
    yield server
    server.close()


@pytest.fixture(scope="module")
def public(folder: ModelsFolder) -> Iterator[PageServer]:
    """As on all addresses."""
    server = PageServer(publish_digits(folder), host="0.0.0.0")
    yield server
    server.close()


def test_the_page_may_ask_its_server_and_nobody_else(server: PageServer) -> None:
    """By a policy without exceptions: no script, style or connection but the server's own."""
    found = server.get("/")
    policy = dict(one.split(" ", 1) for one in found.headers["content-security-policy"].split("; "))

    assert (found.status, found.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert {policy[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert "unsafe" not in found.headers["content-security-policy"]
    assert found.headers["x-content-type-options"] == "nosniff"


def test_its_files_are_sent_again_only_when_they_changed(server: PageServer) -> None:
    """A browser says which ones it has."""
    first = server.get("/page/script.js")
    second = server.get("/page/script.js", **{"If-None-Match": first.headers["etag"]})

    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (second.status, second.body) == (304, b"")


def test_a_report_is_a_strangers_page(server: PageServer) -> None:
    """It may run scripts, in an origin of its own, and ask nobody."""
    found = server.get(f"{VERSION}/report")
    policy = found.headers["content-security-policy"]

    assert found.status == 200
    assert policy.startswith("sandbox allow-scripts; default-src 'none';")
    assert "connect-src 'none'" in policy
    assert "allow-same-origin" not in policy
    assert b"<title>Report</title>" in found.body


def test_a_card_is_text(server: PageServer) -> None:
    """Whatever it holds, nothing of it runs."""
    found = server.get(f"{VERSION}/card")

    assert (found.headers["content-type"], found.body) == ("text/plain; charset=utf-8", b"# digits\n\nA card.\n")


def test_examples_come_with_labels_and_answers(server: PageServer) -> None:
    """Each has its image."""
    examples = json.loads(server.get(f"{VERSION}/examples").body)["examples"]
    image = server.get(f"{VERSION}/examples/{examples[0]['number']}")

    assert {tuple(one) for one in examples} == {("number", "labels", "answers", "probability")}
    assert (image.headers["content-type"], image.body[:4]) == ("image/png", b"\x89PNG")


@pytest.mark.parametrize("part", HIDDEN)
def test_what_may_be_private_is_hidden_from_the_network(public: PageServer, part: str) -> None:
    """Where the server listens on other addresses, unless somebody allows it. The rest of the page is there."""
    found = public.get(f"/v1/models/digits/versions/2/{part}")

    assert found.status == 403
    assert "--show-images" in json.loads(found.body)["detail"]
    assert json.loads(public.get("/v1/models/digits/versions/2/about").body)["report"] is False


def test_images_can_be_shown_and_hidden_either_way(folder: ModelsFolder) -> None:
    """By one setting, wherever the server listens."""
    bundle = publish_digits(folder)
    path = f"/v1/models/digits/versions/{bundle.manifest.version}/report"
    for host, shown, status in (("0.0.0.0", True, 200), ("127.0.0.1", False, 403)):
        server = PageServer(bundle, host=host, show_images=shown)

        assert server.get(path).status == status
        server.close()


def test_without_the_page_there_is_rest_alone(folder: ModelsFolder) -> None:
    """Neither the page nor anything that only it asks for."""
    bundle = publish_digits(folder)
    server = PageServer(bundle, page=False)
    codes = [server.get(path).status for path in ("/", "/page/script.js", f"{VERSION}/report", "/v1/models")]

    assert codes == [404, 404, 404, 200]
    server.close()


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/models/digits/versions/9/about", "version 9 of model digits is not served"),
        ("/v1/models/digits/versions/x/about", "versions are numbered from 1"),
        ("/v1/models/nothing/versions/1/about", "there is no model 'nothing'"),
        ("/v1/models/tiny/versions/1/report", "has no report.html"),
        (f"{VERSION}/examples/99999", "no example image of that number"),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(server: PageServer, path: str, detail: str) -> None:
    """As a problem document, like all errors over HTTP."""
    found = server.get(path)

    assert (found.status, found.headers["content-type"]) == (404, "application/problem+json")
    assert detail in json.loads(found.body)["detail"]


def test_a_bundle_that_is_gone_is_said_to_be_gone(tmp_path: Path) -> None:
    """Its answers go on; report and examples cannot be read any more."""
    bundle = publish_digits(ModelsFolder(tmp_path))
    server = PageServer(bundle)
    shutil.rmtree(bundle.path)
    codes = [server.get(f"{VERSION}/{part}").status for part in ("report", "card", "examples", "about", "latency")]

    assert codes == [409, 409, 409, 200, 200]
    server.close()
