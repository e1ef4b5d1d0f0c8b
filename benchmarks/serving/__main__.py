"""Speed of serving, compared with the peers, in one run on the same cores.

    make benchmark          all parts: calls per second, streams, REST, latency, photographs; under an hour on two cores
    make benchmark-quick    calls per second of Vouch and its peers, in five minutes

The peers are installed first, only from PyPI, each in its own environment (benchmarks/peers). Vouch runs with its
default settings. Servers take turns, round after round, back and forth, so that a busy machine affects all equally.
An answer counts only if it is right: answers are sampled during every load, and all must have the right size.
The table goes to standard output; the whole run's figures go to docs/measured/serving.json, its plot to serving.svg.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.measured import put
from benchmarks.peers.__main__ import installed
from benchmarks.peers.catalog import TRITON
from benchmarks.peers.peer import Peer
from benchmarks.runs import CODE, MEASURED, commit, cpu_flags, keep, machine
from benchmarks.serving.bundles import bare_session, of_photos, trained
from benchmarks.serving.latency import at_shares
from benchmarks.serving.photographs import photographed, photographs, sides
from benchmarks.serving.plan import FULL, PARTS, QUICK, Plan, for_calls, for_latency, for_rest, for_streams, needed
from benchmarks.serving.plot import plot
from benchmarks.serving.questions import question
from benchmarks.serving.record import earlier, joined, wrong
from benchmarks.serving.report import rest, tables
from benchmarks.serving.rest import RestRow, over_http
from benchmarks.serving.rows import PhotoRow, Row, StreamRow, say
from benchmarks.serving.streams import streamed
from benchmarks.serving.throughput import bare, lasting, saturated
from vouch.bundle.opening import Bundle

PAGE, OF_REST = MEASURED.parent / "explanation" / "performance.md", "make benchmark, REST"
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16")


def main() -> int:
    """Runs the benchmark; returns 1 if an answer was wrong, or a peer could not be installed."""
    arguments = parsed()
    plan = asked_for(arguments)
    wanted = needed(plan)
    peers = installed(wanted)
    figures: dict[str, Any] = {
        "machine": machine(),
        "flags": cpu_flags(FLAGS),
        "commit": commit(CODE),
        "peers": {one.title: f"{one.requirements[0]}: {one.settings}" for one in peers},
    }
    before = earlier(MEASURED / f"{arguments.name}.json", figures) if arguments.add else {}
    with tempfile.TemporaryDirectory() as folder:
        models = arguments.models or Path(folder)
        kinds = plan.batches if set(plan.parts) - {"photographs"} else ()
        bundles = {kind: trained(kind, arguments.data, models) for kind in kinds}
        rows = [asdict(row) for row in measured(bundles, peers, plan, arguments.quick)]
        figures["photographs"] = [asdict(row) for row in of_photographs(arguments.photos, models, peers, plan)]
    figures["rows"] = [row for row in rows if "load" in row]
    figures["streams"] = [row for row in rows if "way" in row]
    figures["rest"] = [row for row in rows if "takes" in row]
    figures = joined(before, figures)
    if arguments.name:
        written(arguments.name, figures)
    print(tables(figures))
    problems = wrong(figures)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems or len(peers) < len(wanted) else 0


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist", help="mnist, or a folder of its IDX files")
    parser.add_argument("--quick", action="store_true", help="the short form")
    parser.add_argument(
        "--kinds", type=some_of(FULL.batches), help=f"kinds of models, separated by commas: {', '.join(FULL.batches)}"
    )
    parser.add_argument("--parts", type=some_of(PARTS), help=f"separated by commas: {', '.join(PARTS)}")
    parser.add_argument(
        "--photos", type=Path, help="a folder of class folders of photographs; without it, that part is left out"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="duration of each load")
    parser.add_argument("--models", type=Path, help="a folder to keep the trained models for the next run")
    parser.add_argument("--name", help="name of the files in docs/measured; without it, the short form writes none")
    parser.add_argument("--add", action="store_true", help="keep the existing rows, for a run in pieces")
    arguments = parser.parse_args()
    arguments.name = arguments.name or ("" if arguments.quick else "serving")
    return arguments


def some_of(known: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """What reads a setting that is some of these, by commas."""

    def read(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        if unknown := [word for word in given if word not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(known)}")
        return given

    return read


def asked_for(arguments: argparse.Namespace) -> Plan:
    """The whole or the short form, with what the command line changes."""
    plan = QUICK if arguments.quick else FULL
    kinds = arguments.kinds or list(plan.batches)
    return replace(
        plan,
        batches={kind: plan.batches[kind] for kind in kinds},
        parts=arguments.parts or plan.parts,
        rounds=arguments.rounds or plan.rounds,
        seconds=arguments.seconds or plan.seconds,
    )


def written(name: str, figures: dict[str, Any]) -> None:
    """The record of this name, its plot, and the table of REST where the page has it."""
    keep(name, figures)
    if figures["rows"]:
        (MEASURED / f"{name}.svg").write_text(plot(figures), "utf-8")
    if right := [row for row in figures["rest"] if not row["problems"]]:
        PAGE.write_text(put(PAGE.read_text("utf-8"), rest(right), OF_REST), "utf-8")


def measured(
    bundles: dict[str, Bundle], peers: list[Peer], plan: Plan, quick: bool
) -> Iterator[Row | StreamRow | RestRow]:
    """All rounds, one after the other."""
    sessions = {kind: bare_session(bundle) for kind, bundle in bundles.items()}
    for number in range(plan.rounds):
        turn = -1 if number % 2 else 1
        for kind, bundle in bundles.items():
            if "calls" in plan.parts:
                asked = {batch: question(bundle, sessions[kind], batch) for batch in plan.batches[kind]}
                alone = list(bare(kind, sessions[kind], asked, number, plan.seconds))
                yield from alone
                for one in for_calls(peers, quick)[::turn]:
                    yield from saturated(one, bundle, asked, (kind, number), lasting(alone, plan.seconds))
            single = question(bundle, sessions[kind], 1)
            if "latency" in plan.parts:
                for one in for_latency(peers)[::turn]:
                    yield from at_shares(one, bundle, single, (kind, number), plan.seconds)
            if "streams" in plan.parts and kind == next(iter(bundles)):
                for one in for_streams(peers)[::turn]:
                    yield from streamed(one, bundle, single, number, plan.seconds)
            if "rest" in plan.parts and kind == next(iter(bundles)):
                for one in for_rest(peers, bundle)[::turn]:
                    yield over_http(one, bundle, single, number, plan.seconds)


def of_photographs(photos: Path | None, models: Path, peers: list[Peer], plan: Plan) -> Iterator[PhotoRow]:
    """The rounds with photographs, where there are any."""
    if "photographs" not in plan.parts:
        return
    if photos is None:
        say("photographs are left out: --photos is not given or not a folder")
        return
    bundle = of_photos(photos, models)
    asked = photographs(bundle, photos)
    for number in range(plan.rounds):
        for side in sides(TRITON in peers)[:: -1 if number % 2 else 1]:
            yield photographed(side, bundle, asked, number, plan.photo_seconds)


if __name__ == "__main__":
    sys.exit(main())
