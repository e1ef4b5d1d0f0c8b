"""docker-compose.yml, run for real on a Docker engine and checked from outside; prints a Markdown table.

    make compose-test       some twenty minutes, most of them for building the images and waiting for alerts

Everything is brought up from nothing, in a project of its own, and taken down again. Grafana is left out: its
dashboard's expressions are asked of the Prometheus that runs here. Needs root on the engine's machine, to kill a
container's process from outside. PIP_INDEX_URL and TORCH_INDEX_URL lead to other indexes than the public ones.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.compose.callers import Callers
from tests.compose.engine import (
    PROJECT,
    PROMETHEUS,
    PROXY,
    SERVER,
    SERVER_IMAGE,
    THREE_SERVERS,
    TRAINER_IMAGE,
    compose,
    compose_fails,
    containers,
    docker,
    inspect,
    is_healthy,
    until,
    why_not,
)
from tests.compose.monitoring import expressions, firing, query, without_series
from tests.support.certificates import Authority
from vouch.client import CallFailed, Client, Tls

RULES = "/etc/prometheus/rules_test.yml"
CORRUPT = """
import json, pathlib, shutil
folder = pathlib.Path("/models/digits")
shutil.copytree(folder / "2", folder / "3")
manifest = folder / "3" / "manifest.json"
values = json.loads(manifest.read_text())
values["version"] = 3
manifest.write_text(json.dumps(values))
graph = folder / "3" / "model.onnx"
content = bytearray(graph.read_bytes())
content[len(content) // 2] ^= 1
graph.write_bytes(content)
"""
"""A copy of version 2 under the next number, with one bit of its graph flipped."""
MAX_SERVER_MB = 350
Check = Callable[[], str]


def images() -> str:
    """Both are built; the server's is small, and has neither torch nor pip."""
    compose("build", "server", "trainer")
    base = inspect(os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm"))["Size"]
    server, trainer = ((inspect(image)["Size"] - base) / 1e6 for image in (SERVER_IMAGE, TRAINER_IMAGE))
    assert server < MAX_SERVER_MB, f"the server's image adds {server:.0f} MB"
    asked = "import importlib.util as find; print([name for name in ('torch', 'pip', 'onnx') if find.find_spec(name)])"
    found = docker("run", "--rm", "--entrypoint", "python", SERVER_IMAGE, "-c", asked).strip()
    bill = json.loads(docker("run", "--rm", "--entrypoint", "cat", SERVER_IMAGE, "/opt/vouch/sbom.cdx.json"))
    assert "onnxruntime" in {component["name"] for component in bill["components"]}, "the bill of materials"
    assert found == "[]", f"the server's image has {found}"
    return f"on top of the base image: server {server:.0f} MB, trainer {trainer:,.0f} MB"


def first_start() -> str:
    """From nothing: trains, becomes healthy, predicts."""
    began = time.monotonic()
    compose("up", "--detach", "trainer", "server", "prometheus")
    compose("run", "--rm", "client", "evaluate")  # at once: it waits
    (server,) = containers("server")
    until(lambda: is_healthy(server), 600)
    healthy_s = time.monotonic() - began
    assert trainer_exit() == 0
    with Callers(SERVER) as callers:
        time.sleep(2)
    return f"healthy after {healthy_s:.0f} s, of which training took most; {callers.told()}"


def claim_and_served() -> str:
    """`docker compose run --rm client evaluate`: both numbers, and they are the same."""
    told = json.loads(compose("run", "--rm", "client", "evaluate", "--json").splitlines()[-1])
    assert told["claim"] == told["served"], told
    return f"claim {told['claim']['correct']} of {told['claim']['total']}, served {told['served']['correct']}"


def contained() -> str:
    """Nobody is root, nothing is written outside of volumes and /tmp, no capability is left."""
    (server,) = containers("server")
    for container in (server, trainer()):
        told = inspect(container)
        host = told["HostConfig"]
        assert told["Config"]["User"] == "10001:10001", told["Config"]["User"]
        assert host["ReadonlyRootfs"], told["Name"]
        assert host["CapDrop"] == ["ALL"], told["Name"]
        assert host["Memory"], told["Name"]
        assert host["Tmpfs"] == {"/tmp": "size=128m"}, told["Name"]
    assert inspect(server)["HostConfig"]["NanoCpus"] == 1_500_000_000
    assert docker("exec", server, "id", "-u").strip() == "10001"
    tried = "for place in /x /opt/vouch/x /models/x; do touch $place 2> /dev/null && echo $place; done; touch /tmp/x"
    assert not docker("exec", server, "sh", "-c", tried), "the root or the models can be written"
    assert "CapEff:\t0000000000000000" in docker("exec", server, "cat", "/proc/1/status")
    bound = inspect(server)["NetworkSettings"]["Ports"]
    assert {one["HostIp"] for places in bound.values() for one in places or ()} == {"127.0.0.1"}, bound
    return "uid 10001, read-only root and models, no capabilities, 1.5 processors, 128 MB of /tmp, ports on 127.0.0.1"


def second_start() -> str:
    """Down and up again: nothing is trained."""
    compose("down")
    began = time.monotonic()
    compose("up", "--detach", "trainer", "server", "prometheus")
    (server,) = containers("server")
    until(lambda: is_healthy(server), 60)
    healthy_s = time.monotonic() - began
    until(lambda: trainer_exit() is not None, 60)
    assert trainer_exit() == 0
    assert versions() == ["1"], versions()
    return f"healthy after {healthy_s:.0f} s, still only version 1"


def retraining() -> str:
    """While clients call: no call fails, and the version in the answers goes up."""
    with Callers(SERVER) as callers:
        callers.until(lambda: callers.versions[1] > 0, 20)
        compose("run", "--rm", "retrain", VOUCH_TRAIN_SEED="1")
        callers.until(lambda: callers.versions[2] > 0, 60)
        time.sleep(1)
    assert set(callers.versions) == {1, 2}
    return f"version 1, then 2: {callers.told()}"


def corrupted() -> str:
    """A version with a flipped bit is refused, the old one stays, the alert fires; it ends when the version is gone."""
    until(lambda: not firing(PROMETHEUS), 120)
    with Callers(SERVER) as callers, Client(SERVER) as client:
        in_the_volume("python", "-c", CORRUPT)
        until(lambda: bool(client.model().refusals), 30)
        alert_s = until(lambda: "VouchVersionRefused" in firing(PROMETHEUS), 240)
        model = client.model()
    assert (model.version, model.refusals[0][0]) == (2, 3)
    assert set(callers.versions) == {2}
    in_the_volume("rm", "-r", "/models/digits/3")
    until(lambda: not firing(PROMETHEUS), 60)
    reason = model.refusals[0][1].split(":")[0]
    return f"version 2 stays ({callers.told()}); alert after {alert_s:.0f} s, gone with the version; refused: {reason}"


def killed() -> str:
    """kill -9 of the server's container from outside: it comes back, and calls with one retry all succeed."""
    (server,) = containers("server")
    with Callers(SERVER, before_retry=lambda: until_ready(SERVER)) as callers:
        time.sleep(1)
        began = time.monotonic()
        os.kill(inspect(server)["State"]["Pid"], signal.SIGKILL)
        callers.until(lambda: callers.retried > 0, 20)
        until_ready(SERVER)
        back_s = time.monotonic() - began
        until(lambda: is_healthy(server), 60)
        time.sleep(1)
    assert inspect(server)["RestartCount"] == 1
    return f"answers again after {back_s:.1f} s, then healthy: {callers.told()}"


def rules() -> str:
    """Promtool's tests of the alert rules, in the Prometheus that runs."""
    (prometheus,) = containers("prometheus")
    docker("exec", prometheus, "promtool", "test", "rules", RULES)
    return "promtool's tests of all rules pass"


def dashboard() -> str:
    """Every expression of the dashboard returns a series from the real Prometheus."""
    with Callers(SERVER):
        until(lambda: not without_series(PROMETHEUS), 60)
    return f"all {len(expressions())} expressions return series; Grafana itself was not started"


def scaled() -> str:
    """Three servers behind HAProxy: each takes a share; one is stopped, and calls with one retry all succeed."""
    for _ in range(2):  # the second time nothing changes
        compose("up", "--detach", **THREE_SERVERS)
    servers = containers("server")
    assert len(servers) == 3
    until(lambda: all(map(is_healthy, servers)), 120)
    until_ready(PROXY)
    asked = "sum by (instance) (increase(vouch_requests_total{code='OK',method='vouch.v1.Classifier/Predict'}[20s]))"
    with Callers(PROXY, callers=8, before_retry=lambda: None) as callers:
        until(lambda: sum(float(one["value"][1]) > 0 for one in query(PROMETHEUS, asked)) == 3, 60)
        time.sleep(15)
        shares = [float(one["value"][1]) for one in query(PROMETHEUS, asked)]
        docker("stop", servers[0])
        time.sleep(3)
    assert len(shares) == 3
    assert min(shares) > sum(shares) / 6, shares
    parts = ", ".join(f"{share / sum(shares):.0%}" for share in sorted(shares))
    return f"shares {parts}; one stopped: {callers.told()}"


def missing() -> str:
    """The server that was stopped is missed; the others answer."""
    alert_s = until(lambda: "VouchServersMissing" in firing(PROMETHEUS), 480)
    return f"alert {alert_s:.0f} s after the check above"


def alone() -> str:
    """`docker compose up server`: with a folder of models from somewhere else, and no trainer."""
    compose("down")
    with tempfile.TemporaryDirectory(prefix="vouch-proof-") as folder:
        models = Path(folder) / "models"
        copied = ("-v", f"{PROJECT}_models:/from:ro", "-v", f"{folder}:/to", "--user", "0", "--entrypoint", "cp")
        docker("run", "--rm", *copied, SERVER_IMAGE, "-r", "/from", "/to/models")
        Path(folder).chmod(0o755)
        compose("up", "--detach", "server", VOUCH_MODELS_FOLDER=str(models))
        (server,) = containers("server")
        healthy_s = until(lambda: is_healthy(server), 60)
        with Callers(SERVER) as callers:
            time.sleep(2)
        assert not compose("ps", "--all", "--quiet", "trainer").split()
        compose("down", VOUCH_MODELS_FOLDER=str(models))
    return f"healthy after {healthy_s:.0f} s, no trainer; {callers.told()}"


def lost() -> str:
    """The models volume is empty after a redeploy: somebody is woken up, and the right volume ends it."""
    compose("up", "--detach", "server", "prometheus")
    until(lambda: bool(query(PROMETHEUS, "vouch:served_before")), 180)
    with tempfile.TemporaryDirectory(prefix="vouch-proof-") as empty:
        Path(empty).chmod(0o755)
        compose("up", "--detach", "server", VOUCH_MODELS_FOLDER=empty)
        # Prometheus was down too: for five minutes it still finds the last samples of the servers before.
        alert_s = until(lambda: "VouchNoReadyWorker" in firing(PROMETHEUS), 600)
        compose("up", "--detach", "server")
        until(lambda: not firing(PROMETHEUS), 120)
        compose("down")
    return f"alert after {alert_s:.0f} s, gone with the right volume"


def encrypted() -> str:
    """Mutual TLS from a folder of certificates: healthy, whoever shows a certificate is answered, nobody else is."""
    with tempfile.TemporaryDirectory(prefix="vouch-proof-") as folder:
        Path(folder).chmod(0o755)
        tls = folder_of_certificates(Path(folder))
        compose("up", "--detach", "server", "prometheus", **tls)
        (server,) = containers("server")
        until(lambda: is_healthy(server), 60)
        asked = "vouch_certificate_not_after_seconds"
        until(lambda: {one["metric"]["of"] for one in query(PROMETHEUS, asked)} == {"server", "client_ca"}, 60)
        told = json.loads(compose("run", "--rm", "client", "evaluate", "--json", **tls).splitlines()[-1])
        assert told["claim"] == told["served"], told
        shown = Tls(Path(folder) / "ca.pem", Path(folder) / "client.pem", Path(folder) / "client.key", "server")
        for trust, answered in ((shown, True), (Tls(shown.ca, server_name="server"), False), (None, False)):
            assert answers(SERVER, trust) == answered, trust
        scale = THREE_SERVERS | tls | {"VOUCH_PROXY_CONFIG": "haproxy-tls.cfg"}
        compose("up", "--detach", "server", "proxy", **scale)
        until(lambda: answers(PROXY, shown), 60)
        assert not answers(PROXY, None)
        compose("down", **scale)
    return "healthy; evaluate, and calls past the proxy, with a certificate; plain text and strangers are refused"


def public() -> str:
    """The proxy for callers whom nobody knows: TLS alone, and an address that calls too often is told so."""
    with tempfile.TemporaryDirectory(prefix="vouch-proof-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        folder_of_certificates(folder)
        trust = Tls(ca=folder / "ca.pem", server_name="server")
        (folder / "server.key").rename(folder / "server.pem.key").chmod(0o644)
        scale = {"VOUCH_PROXY_CONFIG": "haproxy-public.cfg", "VOUCH_PROXY_TLS_FOLDER": name}
        compose("up", "--detach", "server", "proxy", **scale)
        until(lambda: answers(PROXY, trust), 60)
        assert not answers(PROXY, None)
        with Client(PROXY, tls=trust) as client:
            codes = Counter(how_a_call_ends(client) for _ in range(3000))
        compose("down", **scale)
    assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"}, codes
    return f"TLS only; of 3,000 calls in a row {codes['OK']:,} OK, the others RESOURCE_EXHAUSTED"


def unprotected() -> str:
    """Grafana does not start without a password, and `up` says so; nothing else asks for one."""
    images = {"GRAFANA_IMAGE": os.environ.get("PYTHON_IMAGE", "python:3.11-slim-bookworm")}
    said = compose_fails("up", "--detach", "grafana", **images)
    log = compose("logs", "--no-color", "grafana-password", **images)
    assert "error: VOUCH_GRAFANA_PASSWORD is empty" in log, log
    assert "grafana-password" in said, said
    compose("rm", "--force", "--stop", "grafana", "grafana-password", **images)
    compose("run", "--rm", "grafana-password", **images, VOUCH_GRAFANA_PASSWORD="correct horse")
    return "`up grafana` fails: VOUCH_GRAFANA_PASSWORD is empty"


def down() -> str:
    """All stop within their grace, by themselves."""
    compose("up", "--detach", **THREE_SERVERS)
    servers = containers("server")
    until(lambda: all(map(is_healthy, servers)), 120)
    began = time.monotonic()
    compose("stop", **THREE_SERVERS)
    seconds = time.monotonic() - began
    codes = [inspect(server)["State"]["ExitCode"] for server in servers]
    assert codes == [0] * len(codes), f"exit codes {codes}"
    compose("down", "--volumes")
    assert not docker("volume", "ls", "--quiet", "--filter", f"name={PROJECT}_models").split()
    return f"in {seconds:.0f} s, exit code 0"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("Images", images),
    ("First start, from nothing", first_start),
    ("`run --rm client evaluate`", claim_and_served),
    ("Containment", contained),
    ("Second start", second_start),
    ("Retraining while clients call", retraining),
    ("A corrupted bundle in the volume", corrupted),
    ("`kill -9` of the server's container", killed),
    ("Alert rules", rules),
    ("Dashboard", dashboard),
    ("Three servers behind HAProxy", scaled),
    ("One server fewer", missing),
    ("`up server` alone", alone),
    ("An empty volume after a redeploy", lost),
    ("Mutual TLS", encrypted),
    ("HAProxy for strangers", public),
    ("Grafana without a password", unprotected),
    ("Down", down),
)


def main() -> int:
    """Runs all checks, in this order, until one fails; returns the exit code."""
    if reason := why_not():
        print(f"error: the deployment cannot be tried here: {reason}", file=sys.stderr)
        return 1
    compose("down", "--volumes", "--remove-orphans")
    print("| check | found | seconds |\n|---|---|---|", flush=True)
    try:
        for name, check in CHECKS:
            began = time.monotonic()
            found = check()
            print(f"| {name} | {found} | {time.monotonic() - began:.0f} |", flush=True)
    except Exception:
        Path("compose-test.log").write_text(compose("logs", "--no-color"))
        print("the containers' logs are in compose-test.log", file=sys.stderr)
        raise
    finally:
        compose("down", "--volumes", "--remove-orphans")
    return 0


def trainer() -> str:
    """The trainer's container, which may have ended."""
    return compose("ps", "--all", "--quiet", "trainer").split()[0]


def trainer_exit() -> int | None:
    """The exit code of the trainer's container; None while it runs."""
    state = inspect(trainer())["State"]
    return None if state["Running"] else int(state["ExitCode"])


def versions() -> list[str]:
    """That lie in the volume."""
    return sorted(in_the_volume("ls", "/models/digits").split())


def in_the_volume(*words: str) -> str:
    """Runs a command as the trainer's user where the models can be written."""
    return docker(
        "run", "--rm", "--volume", f"{PROJECT}_models:/models", "--entrypoint", words[0], SERVER_IMAGE, *words[1:]
    )


def folder_of_certificates(folder: Path) -> dict[str, str]:
    """Of a server named `server`, and of a caller; what .env says of them."""
    authority = Authority(folder, "authority")
    (folder / "ca.pem").write_bytes(authority.certificate.read_bytes())
    for whose in ("server", "client"):
        pair = authority.issue(whose, extended="subjectAltName=DNS:server\nbasicConstraints=CA:FALSE\n")
        (folder / f"{whose}.pem").write_bytes(pair.certificate.read_bytes())
        (folder / f"{whose}.key").write_bytes(pair.key.read_bytes())
        os.chown(folder / f"{whose}.key", 10001, 10001)
    return {
        "VOUCH_TLS_FOLDER": str(folder),
        "VOUCH_SERVE_TLS_CERTIFICATE": "/tls/server.pem",
        "VOUCH_SERVE_TLS_KEY": "/tls/server.key",
        "VOUCH_SERVE_TLS_CLIENT_CA": "/tls/ca.pem",
        "VOUCH_CALLER_TLS_FOLDER": str(folder),
        "VOUCH_CLIENT_TLS_CA": "/tls/ca.pem",
        "VOUCH_CLIENT_TLS_CERTIFICATE": "/tls/client.pem",
        "VOUCH_CLIENT_TLS_KEY": "/tls/client.key",
    }


def answers(address: str, tls: Tls | None) -> bool:
    """Whether a caller who trusts and shows this is answered."""
    try:
        with Client(address, timeout_s=5, tls=tls) as client:
            return client.ready()
    except CallFailed:
        return False


def how_a_call_ends(client: Client) -> str:
    """Its status."""
    try:
        client.ready()
    except CallFailed as err:
        return err.code.name
    return "OK"


def until_ready(address: str) -> None:
    """Asks for the server's health until it is good."""
    until(lambda: answers(address, None), 60)


if __name__ == "__main__":
    sys.exit(main())
