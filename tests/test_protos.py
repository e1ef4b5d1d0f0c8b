import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUF = Path(sys.executable).with_name("buf")
ENDINGS = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def generated_code(root: Path) -> dict[Path, str]:
    """Path below `root` -> text."""
    paths = [path for path in (root / "vouch" / "protos").rglob("*") if path.name.endswith(ENDINGS)]
    return {path.relative_to(root): path.read_text() for path in paths}


def test_the_generated_code_is_what_the_protos_say(tmp_path: Path) -> None:
    """`make protos` changes nothing: the code beside the .proto files was generated from them as they are."""
    shutil.copytree(
        ROOT / "protos", tmp_path / "vouch" / "protos", ignore=shutil.ignore_patterns("*_pb2*", "__pycache__")
    )
    protos = [str(path.relative_to(tmp_path)) for path in sorted((tmp_path / "vouch").rglob("*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", ".", "--python_out=.", "--pyi_out=."]
    subprocess.run([*command, "--grpc_python_out=.", *protos], cwd=tmp_path, check=True, timeout=60)

    generated, committed = generated_code(tmp_path), generated_code(ROOT)
    assert len(generated) == 3 * len(protos)
    assert committed == generated


BASELINE = ROOT / "protos" / "baseline.txtpb"


def what_breaks(protos: Path, against: Path = BASELINE) -> str:
    """What `make lint` says of these .proto files; nothing where existing callers can go on."""
    command = [str(BUF), "breaking", str(protos), "--against", str(against)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) == (done.stdout + done.stderr == ""), done.stderr
    return done.stdout


def test_the_contract_on_the_wire_is_not_broken() -> None:
    """A break that is meant is accepted by `make protos-baseline`."""
    assert what_breaks(ROOT / "protos") == ""


def test_what_has_been_added_is_guarded_too() -> None:
    """`make protos-baseline` takes it in."""
    assert what_breaks(BASELINE, against=ROOT / "protos") == ""


@pytest.mark.parametrize(
    ("written", "changed", "reason"),
    [
        ("  string model = 1;\n", "", 'field "1" with name "model" on message "PredictRequest" was deleted'),
        ("  string model = 1;\n", "  string model = 99;\n", 'field "1" with name "model" on message "PredictRequest"'),
        ("  string model = 1;\n", "  bytes model = 1;\n", 'changed type from "string" to "bytes"'),
        ("  rpc Evaluate(", "  rpc Assess(", 'RPC "Evaluate" on service "Classifier" was deleted'),
    ],
    ids=["removed", "renumbered", "of another type", "renamed"],
)
def test_a_change_that_breaks_callers_is_noticed(tmp_path: Path, written: str, changed: str, reason: str) -> None:
    """The guard looks at what is committed, not at itself."""
    protos = tmp_path / "protos"
    shutil.copytree(ROOT / "protos", protos, ignore=shutil.ignore_patterns("*.py", "*.pyi", "__pycache__"))
    classifier = protos / "vouch" / "v1" / "classifier.proto"
    text = classifier.read_text()
    assert written in text
    classifier.write_text(text.replace(written, changed))

    assert reason in what_breaks(protos)
