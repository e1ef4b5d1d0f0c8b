"""Every environment variable and every key of vouch.toml, with its default and the commands that read it."""

from collections.abc import Iterator

from docs.reference import markdown
from docs.reference.declared import Declared, declared
from docs.reference.markdown import code, plain, prose, table
from vouch.cli.programs import COMMANDS, TABLES
from vouch.client.proxies import EXCEPTIONS, VARIABLES

ABOUT = """
Options on the command line win over environment variables, variables over `vouch.toml` in the working directory, and
the file over the defaults. How to write lists, yes and no, and empty values:
[settings](../how-to/settings.md). What each setting does: [commands.md](commands.md). The variables of
`docker-compose.yml` are in [.env.example](../../.env.example).
"""
OTHER = {
    ("VOUCH_DATA",): "The folder that holds `mnist/`. If it is not set, MNIST is fetched into the cache.",
    ("XDG_CACHE_HOME",): "The folder of caches, `~/.cache` by default: for MNIST and a backbone's weights.",
    ("TMPDIR",): "Where `vouch train` keeps images that do not fit into `--memory`; `/var/tmp` by default.",
    ("OMP_NUM_THREADS",): "How many threads `vouch train` fits with, where `--threads` is 0.",
    ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"): "How threads of a training wait. If neither is set, `vouch train` sets "
    "`OMP_WAIT_POLICY` to `PASSIVE`.",
    ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"): "Set by `torchrun`: a training in several processes.",
    ("GRPC_VERBOSITY",): "gRPC's own log lines. Vouch sets it to `NONE` unless you set it.",
    ("GRPC_ENABLE_FORK_SUPPORT",): "Vouch sets it to `0` unless you set it, because it never forks.",
    ("ORT_DISABLE_TELEMETRY",): "ONNX Runtime's telemetry. Vouch sets it to `1` unless you set it.",
    (
        "MLFLOW_DISABLE_TELEMETRY",
    ): "MLflow's telemetry. `vouch train --track mlflow` sets it to `true` unless you set it.",
    ("PYDANTIC_DISABLE_PLUGINS",): "Vouch sets it to `1` unless you set it, because looking for plugins takes time.",
    ("PYTHONPATH",): "Passed on to the server's processes, after the folder that Vouch itself was loaded from.",
    (*VARIABLES, *EXCEPTIONS): "gRPC's proxies and the hosts that are called without one. The client's error messages "
    "name the one that was used.",
}
"""Variables that are no settings, and what they do. A test compares them with those that the code reads."""


def page() -> str:
    """settings.md."""
    return markdown.page("Settings: environment variables and vouch.toml", *_blocks())


def _blocks() -> Iterator[str]:
    yield prose(ABOUT)
    for name in TABLES:
        yield f"## [{name}]"
        commands = [command for command, about in COMMANDS.items() if about.table == name]
        yield prose(f"Read by {' and '.join(f'`vouch {command}`' for command in commands)}.")
        header = ["variable", "key", "default", "read by"][: 4 if len(commands) > 1 else 3]
        yield table(header, (row[: len(header)] for row in _rows(commands)))
    yield "## Other variables"
    yield table(["variable", "what it does"], ([", ".join(map(code, names)), text] for names, text in OTHER.items()))


def _rows(commands: list[str]) -> Iterator[list[str]]:
    """A row for each setting; where a command has a default of its own, it is named."""
    readers: dict[str, dict[str, Declared]] = {}
    for command in commands:
        for one in declared(command)[1]:
            readers.setdefault(one.key, {})[command] = one
    for key, read_by in readers.items():
        defaults = {command: one.default for command, one in read_by.items()}
        said = {value: [command for command in defaults if defaults[command] == value] for value in defaults.values()}
        default = ", ".join(
            code(value) + (f" ({', '.join(of)})" if len(said) > 1 else "") for value, of in said.items()
        )
        by = "all" if len(read_by) == len(commands) else ", ".join(read_by)
        yield [code(next(iter(read_by.values())).variable), code(key), default, plain(by)]
