"""Runs the lines, one after the other, and stores each run when it is done."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.peer import EPOCHS, PeerEpoch, train_peer
from benchmarks.runs import Clock, commit, cpu_flags, machine, run_vouch
from benchmarks.training.beside import CLASSICS, right_answers
from benchmarks.training.data import NoData, Places, both_parts
from benchmarks.training.lines import COPIED, Line
from benchmarks.training.record import Entry, Record
from vouch.bundle.opening import Bundle, open_bundle
from vouch.sources.load import load

CODE = ("bundle", "cli", "sources", "trainer", "pyproject.toml", "constraints.txt")
"""What a training depends on."""
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
ENOUGH_TUNE = 1000
"""Images, for its accuracy to tell 99 % from 99.5 %."""
LIBRARIES = ("torch", "onnxruntime", "scikit-learn")


def run_all(jobs: list[tuple[Line, int]], places: Places, record: Record, device: str, again: bool) -> dict[str, str]:
    """Runs what is not recorded, and between the runs of its set the copied network's epochs.

    Returns:
        lines that were left out, with the reason: there are no images, or a training failed.
    """
    shared = circumstances(device)
    waiting = [(line, seed) for line, seed in jobs if again or not record.has(asked(line, seed, shared))]
    turns = sum(COPIED in line.beside for line, _ in waiting)
    copied = copied_network(places.mnist, device, turns, record) if turns and not record.copied_on(device) else iter(())
    left_out: dict[str, str] = {}
    for number, (line, seed) in enumerate(waiting, 1):
        if line.name in left_out:
            continue
        try:
            run = asked(line, seed, shared) | trained(line, seed, places, device)
        except (NoData, subprocess.SubprocessError) as err:
            left_out[line.name] = str(err)
            continue
        record.keep(run)
        say(f"{number} of {len(waiting)}: {line.name}, seed {seed}: {run['correct']:,} right, {run['seconds']:.1f} s")
        if COPIED in line.beside:
            next(copied, None)
    for _ in copied:  # what is left of it, where lines were left out
        pass
    return left_out


def circumstances(device: str) -> Entry:
    """What all runs of a measurement have in common."""
    flags = " ".join(cpu_flags(FLAGS))
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return {"device": device, "commit": commit(CODE), "machine": f"{machine()}, {flags}", "libraries": libraries}


def asked(line: Line, seed: int, shared: Entry) -> Entry:
    """What is known of a run before it is made."""
    return {"line": line.name, "seed": seed, "options": list(line.options)} | shared


def trained(line: Line, seed: int, places: Places, device: str) -> Entry:
    """One run of `vouch train`, and of what is fitted beside it.

    Raises:
        NoData: the images are not here.
        subprocess.SubprocessError: the training failed, or took hours.
    """
    data = places.data(line, seed)
    with tempfile.TemporaryDirectory() as models:
        words = ("--device", device, "--models", models, "--name", "measured", "--seed", str(seed))
        clock = Clock.started()
        result = run_vouch("train", data, *words, *line.options)
        run = {"correct": result["correct"], "total": result["total"], "fitting_s": round(result["seconds"], 2)}
        run |= {"seconds": round(clock.seconds(), 2), "processor_s": round(clock.processor_seconds(), 2)}
        run |= {"others": round(clock.others(), 3)}
        bundle = open_bundle(Path(result["bundle"]))
        run |= course(bundle)
        classics = [name for name in line.beside if name in CLASSICS]
        parts = both_parts(data, bundle) if classics else None
    return run | {"beside": {name: right_answers(name, *parts) for name in classics} if parts else {}}


def course(bundle: Bundle) -> Entry:
    """What was chosen, how many epochs it took, and when 99 % and 99.5 % of tune were right, if it is large."""
    training = bundle.manifest.training
    history, recipe = training.history, training.recipe
    elapsed = 0.0
    reached: dict[str, float] = {}
    for seconds, accuracy in zip(history.seconds, history.tune_accuracy, strict=True):
        elapsed += seconds or 0.0
        for share in (0.99, 0.995):
            if (accuracy or 0.0) >= share and training.splits["tune"].size >= ENOUGH_TUNE:
                reached.setdefault(f"{share:.1%}", round(elapsed, 2))
    preset = getattr(recipe, "preset", None)
    return {"model": training.model, "preset": preset, "epochs": history.epochs, "reached": reached}


def copied_network(mnist: str, device: str, turns: int, record: Record) -> Iterator[None]:
    """The widely copied network: its epochs in this many parts, kept once all are done."""
    began = Clock.started()
    peer = train_peer(load(mnist), torch.device(device))
    epochs: list[PeerEpoch] = []
    for turn in range(1, turns + 1):
        while len(epochs) < EPOCHS * turn / turns and len(epochs) < EPOCHS:
            epochs.append(next(peer))
            say(f"the copied network, epoch {epochs[-1].number}: {epochs[-1].correct:,}, {epochs[-1].seconds:.0f} s")
        if turn == turns:
            course = [asdict(epoch) | {"total": 10_000} for epoch in epochs]
            record.keep_copied(circumstances(device) | {"others": round(began.others(), 3), "epochs": course})
        yield


def say(text: str) -> None:
    """A line of progress."""
    print(text, file=sys.stderr, flush=True)
