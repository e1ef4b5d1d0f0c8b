"""Names of models that are words of paths too."""

import re
from unittest.mock import ANY

from tests.server.rest.conftest import Rest
from tests.support.tiny import publish_tiny
from vouch.bundle.listed import NAME_PATTERN
from vouch.server.page.assets import asset_pages
from vouch.server.page.documents import Documents
from vouch.server.rest.route import Page, Route, Routes
from vouch.server.rest.table import rest_routes


def test_only_one_path_of_one_name_leads_elsewhere() -> None:
    """Whatever word of a path a model is called: `index`, `ready`, `infer`, `versions` and all others."""
    every: list[Route | Page] = [*rest_routes(), *asset_pages(), *Documents(ANY, ANY, True).pages()]
    routes = Routes(every)
    words = {word for route in every for word in re.split(r"[/:]", route.path) if re.fullmatch(NAME_PATTERN, word)}
    led_elsewhere = [
        path
        for route in every
        for word in words
        if "{model}" in route.path
        and routes.find(route.verb, path := route.path.format(model=word, version=1, number=0))[0] is not route
    ]

    assert {"index", "ready", "infer", "versions", "config", "stats", "models", "v2"} <= words
    assert led_elsewhere == ["/v2/models/stats"]


async def test_a_model_named_stats_is_served(rest: Rest) -> None:
    """Its path without a version is Triton's for the counts of all models, those of this one among them."""
    rest.install(publish_tiny(rest.folder, "stats"))
    counts = (await rest.ask("GET", "/v2/models/stats")).json["model_stats"]

    assert {one["name"] for one in counts} == {"tiny", "stats"}
    assert (await rest.ask("GET", "/v2/models/stats/versions/1")).json["name"] == "stats"
    assert [one["name"] for one in (await rest.ask("GET", "/v2/models/stats/stats")).json["model_stats"]] == ["stats"]
    assert (await rest.ask("GET", "/v2/models/stats/ready")).status == 200
    assert (await rest.ask("GET", "/v1/models/stats")).json["model"]["name"] == "stats"
