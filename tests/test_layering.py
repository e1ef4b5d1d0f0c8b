"""Holds the arrows of the house: who may import whom, read from the imports themselves."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("bundle", "cli", "client", "protos", "server", "sources", "trainer")
ARROWS = {
    "bundle": set(),
    "protos": set(),
    "cli": set(),
    "sources": {"bundle", "cli"},
    "trainer": {"bundle", "cli", "sources"},
    "server": {"bundle", "cli", "protos"},
    "client": {"bundle", "cli", "protos", "sources"},
}
"""Room -> the rooms that it may import."""
LIBRARIES = {
    "bundle": {"cryptography", "numpy", "PIL", "pydantic"},
    "protos": {"google", "grpc"},
    "cli": {"pydantic", "rich", "shtab"},
    "sources": {"PIL", "numpy"},
    "trainer": {"PIL", "jinja2", "mlflow", "numpy", "onnx", "onnxruntime", "pydantic", "safetensors", "torch"},
    "server": {
        *("google", "h2corn", "grpc", "grpc_health", "grpc_reflection"),
        *("numpy", "onnxruntime", "orjson", "prometheus_client", "pydantic", "python_multipart", "uvloop"),
    },
    "client": {"grpc", "matplotlib", "numpy", "pydantic", "rich"},
}
"""Room -> the libraries that it may import, beside Python's own."""
SERVER = {
    "": ("errors", "budget", "repeats", "settings", "cores", "logs", "forced_exit", "passing", "signing"),
    "counting": ("statistics", "counts"),
    "lineup": ("folders", "lineup", "comparing", "verdict", "policy", "route"),
    "link": ("messages", "questions", "channel"),
    "model": (
        *("request", "session", "sessions", "time_limits", "tuning", "cuda", "queue", "runs", "gathering"),
        *("usable", "batcher", "loader", "planning", "compared", "decoding", "differing", "alone", "figures"),
        *("recount", "audit", "command"),
    ),
    "serving": ("served", "catalog", "gate", "readiness"),
    "rpc": (
        *("protobuf", "soon", "status", "context", "method", "long", "admit", "waiting", "call", "fast", "stream"),
        "fast_stream",
    ),
    "services": (
        *("contracts", "decoder", "images", "fit_images", "label_sets", "ranking", "cost", "prediction"),
        *("predictor",),
        *("health", "reflection"),
    ),
    "services/classifier": ("describe", "encode", "evaluate", "service"),
    "services/oip": ("repository", "typed", "request", "statistics", "response", "metadata", "model_config", "service"),
    "transport": (
        *(
            "addresses",
            "arriving",
            "inflating",
            "intake",
            "joining",
            "tls",
            "asgi_request",
            "asgi_call",
            "grpcio_call",
            "limits",
        ),
        *("limits", "listening_socket", "asgi"),
        *("h2corn_settings", "choice", "grpcio", "h2corn"),
    ),
    "rest": (
        *(
            "headers",
            "content",
            "problem",
            "exchange",
            "route",
            "call",
            "messages",
            "simple",
            "json_body",
            "infer_answer",
            "infer",
        ),
        *("infer_schemas", "form", "predict", "predict_schemas", "table", "openapi", "guard", "app"),
    ),
    "page": ("png", "latency", "about", "examples", "documents", "assets"),
    "worker": ("heap", "loading", "reconcile", "services", "worker", "process"),
    "probe": ("process",),
    "supervisor": (
        *("backoff", "import_path", "ahead", "memory", "port", "presence", "states", "status_server", "watchdog"),
        *("held_files", "launch", "published", "state", "verifier", "watcher", "metrics"),
        *("worker_process", "slot", "pool", "supervisor", "run", "command"),
    ),
}
"""Package of the server -> its files. Neither imports anything to its right; "" are the files beside the packages."""
SERVER_ARROWS = {
    "": set(),
    "counting": {""},
    "lineup": {""},
    "link": {"", "counting", "lineup"},
    "model": {"", "counting", "lineup"},
    "serving": {"", "counting", "lineup", "model"},
    "rpc": {"", "counting", "serving"},
    "services": {"", "counting", "model", "rpc", "serving"},
    "services/classifier": {"", "lineup", "model", "rpc", "services", "serving"},
    "services/oip": {"", "counting", "model", "rpc", "services", "serving"},
    "transport": {"", "rpc", "serving"},
    "rest": {"", "rpc", "services", "transport"},
    "page": {"", "counting", "rest", "services/oip", "serving"},
    "worker": {"", "counting", "lineup", "link", "model", "page", "rest", "rpc", "services", "serving", "transport"}
    | {"services/classifier", "services/oip"},
    "probe": {"", "lineup", "model"},
    "supervisor": {"", "counting", "lineup", "link", "model", "serving", "transport"},
}
"""Package of the server -> the packages that it may import."""
TRAINER = {
    "": (
        *("errors", "kinds", "recipe_settings", "settings", "backbones", "choosing", "judging", "making", "limits"),
        *("reading", "fitting_head", "fitting", "resuming", "like", "job", "run"),
    ),
    "splits": (
        *("balance", "digests", "stratify", "draw", "near_duplicates", "forest", "clusters", "together"),
        *("small_classes", "rows", "presence", "overlaps", "split"),
    ),
    "learn": (
        *("asked", "one_thread", "heap", "regression", "temperature", "device", "augment", "networks", "demand"),
        *("effort", "hard", "precision", "presets"),
        *(
            "processes",
            "pixels",
            "circumstances",
            "losses",
            "optimizers",
            "order",
            "checkpoint",
            "judges",
            "course",
            "beside",
        ),
        *("seen", "variants", "steps", "under_way", "epochs", "loop", "folds", "out_of_fold"),
        *("penalty", "frozen", "head", "fine_tune"),
    ),
    "learn/backbone": (
        *("origin", "lite0", "weights", "pixels", "graph", "backbone", "features", "joined"),
        *("wishes", "whole_file", "reading", "pooled", "one_by_one", "onnx_file"),
    ),
    "judge": (
        *(
            "graph",
            "head_graph",
            "folding",
            "network_graph",
            "export",
            "thresholds",
            "calibrate",
            "quantize",
            "acceptance",
        ),
        *("exam", "findings"),
        *("serving_cost", "kernel", "curve", "doubtful", "hindsight"),
    ),
    "publish": (
        *("provenance", "metadata", "card", "fit_digests", "describe", "validation", "label_errors", "bundle"),
        "serving",
    ),
    "report": (
        *("wording", "series", "encoding", "pictures", "gallery", "looks", "opposite", "finished", "recorder"),
        *("outcome", "story", "advice", "next_steps", "axes", "figures", "activation", "judged", "measured"),
        *("followed", "covered", "frozen", "learned", "one_weight", "contents", "tables", "page"),
    ),
    "tracking": ("log", "mlflow_log", "tensorboard_log", "tracker"),
    "compare": ("settings", "differing_settings", "right_answers", "selection", "compare", "comparison"),
}
"""Package of the trainer -> its files; likewise."""
TRAINER_ARROWS = {
    "": {"splits", "learn", "learn/backbone", "judge", "publish", "report", "compare", "tracking"},
    "splits": {""},
    "learn/backbone": {""},
    "learn": {"", "splits", "learn/backbone"},
    "judge": {"", "splits", "learn", "learn/backbone"},
    "publish": {"", "splits", "learn", "learn/backbone", "judge", "report"},
    "report": {"", "splits", "learn", "learn/backbone", "judge"},
    "tracking": {"", "learn"},
    "compare": {"", "judge"},
}
"""Package of the trainer -> the packages that it may import."""
TRAINER_FOR_ALL = ("errors", "kinds")
"""Of the files beside the packages, those that packages may import; the others are the steps of a training."""
PACKAGES = {"server": (SERVER, SERVER_ARROWS), "trainer": (TRAINER, TRAINER_ARROWS)}
CLIENT_ORDER = (
    "address",
    "proxies",
    "errors",
    "images",
    "files",
    "models",
    "messages",
    "tls",
    "turns",
    "connections",
    "client",
    "settings",
    "streaming",
    "labelled",
    "recount",
    "waiting",
    "answers",
    "predicting",
    "bench",
    "commands",
)
"""Steps of the client; likewise."""
BENCH_ORDER = ("load", "points", "images", "calls", "measure", "recommend", "report", "plot")
"""Steps of a measurement; likewise."""
ONLY_IN = {
    "onnxruntime": {
        "server/model/cuda.py",
        "server/model/session.py",
        "trainer/judge/quantize.py",
        "trainer/judge/graph.py",
        "trainer/learn/backbone/features.py",
    },
    "shtab": {"cli/completion.py"},
    "safetensors": {"trainer/learn/backbone/weights.py"},
    "h2corn": {"server/transport/h2corn.py", "server/transport/h2corn_settings.py"},
    "python_multipart": {"server/rest/form.py"},
    "prometheus_client": {"server/supervisor/metrics.py"},
    "cryptography": {"bundle/signature.py"},
    "matplotlib": {"client/bench/plot.py"},
    "mlflow": {"trainer/tracking/mlflow_log.py"},
    "jinja2": {"trainer/report/page.py"},
    "grpc": {
        *("client/bench/calls.py", "client/streaming.py", "client/errors.py", "client/messages.py", "client/tls.py"),
        *("client/connections.py", "client/predicting.py", "client/turns.py"),
        *("server/transport/grpcio.py", "server/transport/grpcio_call.py"),
    },
}
"""Libraries that only these files may import, generated code aside."""


def files(room: str) -> list[Path]:
    return [path for path in sorted((ROOT / room).rglob("*.py")) if "_pb2" not in path.name]


@cache
def imports(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions too; ours without `vouch.` in front."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    assert not {name.split(".")[0] for name in found} & set(ROOMS), f"{path} imports a room past the package vouch"
    return {ours if (ours := name.removeprefix("vouch.")).split(".")[0] in ROOMS else name for name in found}


def steps(path: Path, room: str) -> set[str]:
    """Of a room, or of a folder in one such as `client/bench`."""
    prefix = room.replace("/", ".") + "."
    return {name.removeprefix(prefix).split(".")[0] for name in imports(path) if name.startswith(prefix)}


def test_a_module_that_is_named_in_a_string_is_named_in_full() -> None:
    """`import_module("vouch.trainer.run")`: without `vouch.` it works beside a checkout alone, and is a second copy."""
    folders = ("tests", "benchmarks", "examples", *ROOMS, "vouch")
    paths = {path for folder in folders for path in (ROOT / folder).rglob("*.py")} - {Path(__file__)}
    begins_so = re.compile(rf"""["'](?:{"|".join(ROOMS)})\.""")
    for path in paths:
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if begins_so.search(text) else ():
            named = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            top, _, rest = named.partition(".")
            file = ROOT / top / rest.split(".")[0]
            assert not (top in ROOMS and rest and (file.is_dir() or file.with_suffix(".py").exists())), (path, named)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_arrows_allow(room: str) -> None:
    """Rooms and libraries that are not listed are not imported."""
    for path in files(room):
        known = {*sys.stdlib_module_names, room, "vouch"}
        tops = {name.split(".")[0] for name in imports(path)} - known

        assert tops & set(ROOMS) <= ARROWS[room], path
        assert tops - set(ROOMS) <= LIBRARIES[room], path


@pytest.mark.parametrize(
    ("room", "order"),
    [
        ("client", CLIENT_ORDER),
        ("client/bench", BENCH_ORDER),
    ],
)
def test_a_step_imports_none_to_its_right(room: str, order: tuple[str, ...]) -> None:
    """Data flows one way."""
    for position, step in enumerate(order):
        paths = files(f"{room}/{step}") or [ROOT / room / f"{step}.py"]
        for path in paths:
            assert not steps(path, room) & set(order[position + 1 :]), path


def package_files(room: str, package: str) -> list[Path]:
    """Of this package alone; those that start a program and what only they import are left out of the first."""
    outside = ("__init__", "__main__", *(("commands",) if not package else ()))
    return [path for path in sorted((ROOT / room / package).glob("*.py")) if path.stem not in outside]


@pytest.mark.parametrize("room", PACKAGES)
def test_every_package_and_file_is_known(room: str) -> None:
    """A new one has its place and its arrows."""
    packages, arrows = PACKAGES[room]
    found = {str(path.parent.relative_to(ROOT / room)).removeprefix(".") for path in files(room)}

    assert found == set(packages) == set(arrows)
    for package, order in packages.items():
        assert {path.stem for path in package_files(room, package)} == set(order), package
        assert (ast.get_docstring(ast.parse((ROOT / room / package / "__init__.py").read_text())) or "").strip()


@pytest.mark.parametrize(("room", "package"), [(room, package) for room in PACKAGES for package in PACKAGES[room][0]])
def test_a_package_imports_only_what_its_arrows_allow(room: str, package: str) -> None:
    """And within it no file imports one to its right."""
    packages, arrows = PACKAGES[room]
    order = packages[package]
    for path in package_files(room, package):
        for name in imports(path):
            parts = name.split(".")[1:]
            if not name.startswith(f"{room}.") or not parts:
                continue
            found = max((other for other in packages if parts[: len(other.split("/"))] == other.split("/")), default="")
            if found == package:
                inner = parts[len(package.split("/")) if package else 0]
                assert inner not in order[order.index(path.stem) + 1 :], (path, name)
            else:
                assert found in arrows[package], (path, name)


def test_no_package_of_the_trainer_knows_the_steps() -> None:
    """`run.py` and its like use the packages, never the other way."""
    for package in set(TRAINER) - {""}:
        for path in package_files("trainer", package):
            beside = steps(path, "trainer") & {*TRAINER[""], "commands"}
            assert beside <= set(TRAINER_FOR_ALL), path


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_stays_in_its_place(library: str) -> None:
    """A single place to look at when it changes."""
    users = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in files(room)
        if any(name.split(".")[0] == library for name in imports(path))
    }

    assert users == ONLY_IN[library]


def test_the_batcher_knows_neither_grpc_nor_onnx() -> None:
    """What could batch for another runtime stays so."""
    for name in ("budget", *(f"model/{name}" for name in ("batcher", "gathering", "queue", "request", "runs"))):
        found = {part.split(".")[0] for part in imports(ROOT / f"server/{name}.py")} - set(sys.stdlib_module_names)
        assert found <= {"numpy", "server"}, name


def test_the_generator_of_load_knows_neither_grpc_nor_the_terminal() -> None:
    """It can be tried on anything that answers."""
    assert {name.split(".")[0] for name in imports(ROOT / "client/bench/load.py")} - set(sys.stdlib_module_names) == {
        "numpy"
    }


def test_the_vouch_command_imports_no_program() -> None:
    """It picks one; `vouch serve` never loads torch, nor `vouch predict` the server."""
    light = ("exit_codes", "loading", "nearest", "printable", "programs")
    for path in (ROOT / "vouch").glob("*.py"):
        if path.name not in ("__init__.py", "__main__.py"):
            assert {name.split(".")[0] for name in imports(path)} <= {*sys.stdlib_module_names, "cli", "vouch"}
            assert steps(path, "cli") <= set(light)
    for name in light:
        assert {name.split(".")[0] for name in imports(ROOT / f"cli/{name}.py")} <= set(sys.stdlib_module_names)


def test_no_process_of_a_server_loads_a_library_before_it_is_needed() -> None:
    """A server starts sooner without. A worker has Pillow, as callers send files; a supervisor needs no arrays."""
    for parts, unwanted in (
        (
            "vouch.server.commands, vouch.server.supervisor.supervisor",
            "rich PIL prometheus_client onnxruntime grpc numpy vouch.bundle.manifest vouch.client",
        ),
        (
            "vouch.server.commands, vouch.server.model.recount",
            "rich PIL prometheus_client grpc vouch.server.supervisor.supervisor",
        ),
        ("vouch.server.worker.process", "rich prometheus_client"),
    ):
        asked = f"import sys, {parts}; print(*set({unwanted.split()}) & set(sys.modules))"
        command = [sys.executable, "-c", asked]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        assert found.stdout.split() == [], parts


MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 50
MAX_RUN_LINES = 150


@cache
def lengths(room: str) -> tuple[dict[str, int], dict[str, int]]:
    """Lines of each file, and of each function as file:function."""
    of_files: dict[str, int] = {}
    of_functions: dict[str, int] = {}
    for path in files(room):
        name, text = str(path.relative_to(ROOT)), path.read_text()
        of_files[name] = len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                of_functions[f"{name}:{node.name}"] = (node.end_lineno or node.lineno) - node.lineno + 1
    return of_files, of_functions


@pytest.mark.parametrize("room", ROOMS)
def test_no_file_is_too_long(room: str) -> None:
    """Over 400 lines a file has more than one job."""
    of_files, _ = lengths(room)

    assert {name: lines for name, lines in of_files.items() if lines > 400} == {}


@pytest.mark.parametrize("room", PACKAGES)
def test_files_and_functions_are_short(room: str) -> None:
    """A file of over 300 lines has more than one job, and so has a function of over 50."""
    of_files, of_functions = lengths(room)
    longer = {name: lines for name, lines in of_files.items() if lines > MAX_FILE_LINES}
    longer |= {name: lines for name, lines in of_functions.items() if lines > MAX_FUNCTION_LINES}

    assert longer == {}


def test_the_steps_of_a_training_fit_on_a_screen() -> None:
    """`run.py` says what happens in which order; how is elsewhere."""
    assert lengths("trainer")[0]["trainer/run.py"] < MAX_RUN_LINES


def test_the_report_knows_no_fit() -> None:
    """It is told of a finished training: of steps and epochs as values, never of what makes them."""
    fitting = {f"trainer.learn.{name}" for name in ("loop", "optimizers", "order", "checkpoint", "processes")}
    for path in package_files("trainer", "report"):
        assert not {name.rpartition(".")[0] for name in imports(path)} & fitting, path
