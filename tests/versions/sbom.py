"""The wheel and beside it what is installed with it, as a bill of materials: `make sbom` writes both into dist/.

CycloneDX's own generator reads an environment with all extras at the versions of constraints.txt, and holds what it
writes against the schema.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.versions.environment import ROOT, Environment, build_wheel, metadata_of

GENERATOR = ROOT / ".venv-sbom" / "bin" / "cyclonedx-py"
EXTRAS = "server,sign,trainer,backbone"


def main() -> None:
    """Writes dist/; what is not a wheel or bill of this version stays."""
    dist = ROOT / "dist"
    with TemporaryDirectory(prefix="vouch-wheel-") as name:
        built = build_wheel(Path(name))
        wheel = dist / built.name
        dist.mkdir(exist_ok=True)
        wheel.write_bytes(built.read_bytes())
        with Environment(Path(name), f"{wheel}[{EXTRAS}]", ROOT / "constraints.txt") as environment:
            environment.install()
            print(write_sbom(environment, wheel))


def write_sbom(environment: Environment, wheel: Path) -> str:
    """Writes NAME-VERSION.cdx.json beside the wheel that is installed there; says what is in it."""
    metadata = metadata_of(wheel)
    project = environment.work / "pyproject.toml"
    version = f'version = "{metadata.version}"'
    project.write_text((ROOT / "pyproject.toml").read_text("utf-8").replace('dynamic = ["version"]', version), "utf-8")
    path = wheel.with_name("-".join(wheel.name.split("-")[:2]) + ".cdx.json")
    words = ["--validate", "--output-reproducible", "--pyproject", str(project), "--output-file", str(path)]
    environment.run(str(GENERATOR), "environment", *words, str(environment.interpreter))
    bill = json.loads(path.read_text("utf-8"))
    _check(bill, str(metadata.version), environment.installed())
    return f"{path.name}: CycloneDX {bill['specVersion']}, {len(bill['components'])} components"


def _check(bill: dict[str, Any], version: str, installed: Sequence[str]) -> None:
    """Whether it is of this version, and names all that is installed, such as numpy==2.4.6."""
    of = bill["metadata"]["component"]
    if (of["name"], of["version"]) != ("vouch-onnx", version):
        sys.exit(f"the bill of materials is of {of['name']} {of['version']}, not of vouch-onnx {version}")
    listed = {f"{one['name']}=={one['version']}".lower() for one in (of, *bill["components"])}
    if missing := {one.lower() for one in installed} - listed:
        sys.exit(f"the bill of materials lacks {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
