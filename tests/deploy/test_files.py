"""The deployment's files among each other: what one names, the other has."""

import re
from pathlib import Path

import pytest

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
    names = ("server-cpu", "server-envoy", "server-cuda") if image == "server" else ("trainer",)
    for name in names:
        locked = LOCKED.findall(lock(name))
        assert len(locked) == lock(name).count("=="), name
        for package, version, _ in locked:
            versions = {tested.get(package), tested.get(package.replace("-", "_"))} - {None}
            assert not versions or versions == {version}, f"{name}: {package}"
    assert "torch==" not in lock("server-cpu") + lock("server-cuda") + lock("server-envoy")
    dockerfile = (ROOT / "deploy/trainer.Dockerfile").read_text()
    assert f"ARG TORCH_VERSION={tested['torch']}\n" in dockerfile


def lock(name: str) -> str:
    return (ROOT / f"deploy/locks/{name}.txt").read_text()
