"""What is tried in an environment: commands and scripts as the README has them."""

import json
from pathlib import Path

from tests.versions.environment import Environment

USE = """
import sys, time, urllib.request
from pathlib import Path
import numpy as np
from vouch import Client
import vouch
assert Path(vouch.__file__).is_relative_to(sys.prefix), vouch.__file__
address, metrics = sys.argv[1:]
with Client(address) as client:
    until = time.monotonic() + 60
    while not client.ready():
        assert time.monotonic() < until, "not ready within 60 s"
        time.sleep(0.1)
    (prediction,) = client.predict(np.zeros((1, 8, 8), np.uint8))
    assert prediction.label in "0123456789", prediction
scraped = urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10).read().decode()
lines = [line for line in scraped.splitlines() if line.startswith("vouch_requests_total{") and 'code="OK"' in line]
assert lines, scraped
print(len(scraped.splitlines()))
"""
"""Predicts from Python and scrapes the metrics; prints how many lines these have."""
WITHOUT = """
import importlib.util as modules
print(*[name for name in ("torch", "onnx", "matplotlib", "sklearn") if modules.find_spec(name)])
"""
SERVER_LOADS_NEITHER = """
import sys
import vouch.server.commands, vouch.server.supervisor.supervisor, vouch.server.worker.process
print(*[name for name in ("torch", "vouch.client", "vouch.trainer") if name in sys.modules])
"""


def train_and_serve(environment: Environment, models: Path) -> str:
    """Trains on digits, signs and serves them, and asks in every way: the whole path."""
    said = environment.vouch("train", "--data", "digits", "--models", str(models), "--epochs", "1", "--json")
    trained = json.loads(said.splitlines()[-1])
    key = models.with_name(f"{models.name}.pem")
    environment.vouch("sign", "--new-key", str(key))
    environment.vouch("sign", trained["bundle"], "--key", str(key))
    environment.vouch("verify", trained["bundle"], "--require-signature", f"{key}.pub")
    return f"{environment.vouch('--version').strip()} trained {trained['bundle']}; {_serve(environment, models)}"


def serve_without_torch(environment: Environment, models: Path) -> str:
    """Serves and verifies what another environment has trained."""
    found = environment.python("-c", WITHOUT).split()
    assert found == [], f"the server extra brings {found}"
    return _serve(environment, models)


def _serve(environment: Environment, models: Path) -> str:
    loaded = environment.python("-c", SERVER_LOADS_NEITHER).split()
    assert loaded == [], f"a server loads {loaded}"
    (bundle,) = models.glob("*/1")
    environment.vouch("verify", str(bundle))
    with environment.serving(models) as places:
        lines = environment.python("-c", USE, places["address"], places["metrics"]).strip()
        said = environment.vouch("evaluate", "--server", places["address"], "--json")
        evaluated = json.loads(said.splitlines()[-1])
        environment.vouch("status", "--server", places["address"])
    claim, served = evaluated["claim"]["correct"], evaluated["served"]["correct"]
    assert claim == served, evaluated
    return f"claim {claim} and served {served} right of {evaluated['served']['total']}, {lines} lines of metrics"
