"""The deployment's files among each other: what one names, the other has."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import vouch
from vouch.cli.settings import CommandSettings, parse
from vouch.client.settings import EvaluateSettings, StatusSettings
from vouch.server.settings import ServeSettings
from vouch.trainer.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"\$\{([A-Z_0-9]+):-([^}]*)\}")
LOCKED = re.compile(r"^(\S+)==(\S+) \\$((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)+)", re.MULTILINE)
COMPOSE = ("docker-compose.yml", "docker-compose.gpu.yml")


def variables(name: str) -> set[tuple[str, str]]:
    """(name, default) of all that a compose file takes from the environment."""
    return set(VARIABLE.findall((ROOT / name).read_text()))


def example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_every_variable_has_one_default_and_stands_in_the_example() -> None:
    """So that a copy of the example changes nothing."""
    found = set().union(*map(variables, COMPOSE))
    assert dict(found) == example()
    assert len(found) == len(example())


def test_no_variable_is_without_a_default() -> None:
    for name in COMPOSE:
        text = (ROOT / name).read_text()
        assert text.count("${") == len(VARIABLE.findall(text)), name
        assert {key for key, _ in variables(name)} <= set(example()), name


@pytest.mark.parametrize("image", ["server", "trainer"])
def test_every_dependency_of_an_image_is_locked_by_hash(image: str) -> None:
    """At the version that the tests run with; torch, whose builds differ, by version."""
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().lower().splitlines())
    names = ("server-cpu", "server-cuda") if image == "server" else ("trainer",)
    for name in names:
        locked = LOCKED.findall(lock(name))
        assert len(locked) == lock(name).count("=="), name
        for package, version, _ in locked:
            versions = {tested.get(package), tested.get(package.replace("-", "_"))} - {None}
            assert not versions or versions == {version}, f"{name}: {package}"
    assert "torch==" not in lock("server-cpu") + lock("server-cuda")
    dockerfile = (ROOT / "deploy/trainer.Dockerfile").read_text()
    assert f"ARG TORCH_VERSION={tested['torch']}\n" in dockerfile


def test_the_generator_of_the_bill_of_materials_is_locked_by_hash() -> None:
    """One lock for the images and for `make sbom`; a line of the Dockerfiles finds the version's place."""
    assert len(LOCKED.findall(lock("sbom"))) == lock("sbom").count("==") > 1
    assert re.findall(r"^dynamic = .*", (ROOT / "pyproject.toml").read_text(), re.MULTILINE) == [
        'dynamic = ["version"]'
    ]
    for image in ("server", "trainer"):
        assert "-r /locks/sbom.txt" in (ROOT / f"deploy/{image}.Dockerfile").read_text()


def test_images_are_called_by_the_version_of_the_package() -> None:
    """Wherever a default of it is written."""
    files = [*COMPOSE, ".env.example", "deploy/server.Dockerfile", "deploy/trainer.Dockerfile"]
    versions = {name: set(re.findall(r"VERSION(?:=|:-)(\d+\.[\w.]+)", (ROOT / name).read_text())) for name in files}

    torch = set(re.findall(r"TORCH_VERSION=(\S+)", (ROOT / "deploy/trainer.Dockerfile").read_text()))
    assert {name: found - torch for name, found in versions.items()} == {name: {vouch.__version__} for name in files}


@pytest.mark.parametrize("settings", [ServeSettings, StatusSettings, TrainSettings], ids=lambda one: one.__name__)
def test_what_compose_hands_on_is_a_setting_and_its_default_is_good(
    settings: type[CommandSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one is one that was not given."""
    prefix = {ServeSettings: "VOUCH_SERVE_", StatusSettings: "VOUCH_CLIENT_", TrainSettings: "VOUCH_TRAIN_"}[settings]
    handed = re.findall(rf"^ +({prefix}\w+): \${{\w+:-(.*)}}$", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE)
    for name, value in handed:
        monkeypatch.setenv(name, value)
    given = parse(settings, "vouch", [])

    assert len(handed) > 4
    fields = {*settings.model_fields, *EvaluateSettings.model_fields}
    assert {name for name, _ in handed if name.removeprefix(prefix).lower() not in fields} == set()
    files = {name: value for name, value in given if name.startswith("tls_") and "name" not in name}
    assert set(files.values()) <= {None, False}


def test_what_is_composes_own_does_not_look_like_a_setting() -> None:
    """Whoever puts a copy of the example into a shell's environment is not warned of unknown settings."""
    settings = {
        "VOUCH_SERVE_": {*ServeSettings.model_fields},
        "VOUCH_CLIENT_": {*StatusSettings.model_fields, *EvaluateSettings.model_fields},
        "VOUCH_TRAIN_": {*TrainSettings.model_fields},
    }
    named = {(name, prefix) for name in example() for prefix in settings if name.startswith(prefix)}

    assert len(named) > 20
    assert {name for name, prefix in named if name.removeprefix(prefix).lower() not in settings[prefix]} == set()


@pytest.mark.parametrize(("password", "code"), [("", 1), ("correct horse", 0)])
def test_grafana_does_not_start_without_a_password(password: str, code: int) -> None:
    """Its own default is known to everybody. What compose runs in its place says what is missing."""
    text = (ROOT / "docker-compose.yml").read_text()
    (script,) = re.findall(r"entrypoint:\n +- sh\n +- -c\n +- >-\n((?: {6}.*\n)+)", text)
    done = subprocess.run(
        ["sh", "-c", " ".join(script.replace("$$", "$").split()), "sh", "echo", "started"],
        env={"PATH": os.environ["PATH"], "GF_SECURITY_ADMIN_PASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == code
    assert done.stdout == ("" if code else "started\n")
    assert ("error: VOUCH_GRAFANA_PASSWORD is empty" in done.stderr) == bool(code)


def test_what_opens_the_server_opens_nothing_else() -> None:
    """All other published ports have addresses of their own, on this machine alone by default: strangers whom the
    proxy limits do not reach the server past it.
    """
    found = re.findall(r"ports: \[\"\$\{(\w+):-127\.0\.0\.1\}:", (ROOT / "docker-compose.yml").read_text())

    assert sorted(found) == ["VOUCH_BIND", "VOUCH_GRAFANA_BIND", "VOUCH_PROMETHEUS_BIND", "VOUCH_PROXY_BIND"]
    assert (ROOT / "docker-compose.yml").read_text().count("ports:") == len(found)


def lock(name: str) -> str:
    return (ROOT / f"deploy/locks/{name}.txt").read_text()
