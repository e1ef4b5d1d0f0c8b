import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
