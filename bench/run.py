"""Runs benches and writes what they measured to `bench/RESULTS.md`.

    python -m bench                          every bench, peers included (hours on two cores)
    python -m bench banking77_full serving   some of them
    python -m bench --quick                  a tiny part of each, to see that everything runs; written to bench/out/

A run that was stopped keeps what it had measured: `--keep all` goes on from there, `--keep peers` measures smidgen anew.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from bench import (
    act,
    adapters,
    banking77_few,
    banking77_full,
    border,
    bursts,
    cache,
    clinc150,
    clinic_notes,
    coverage,
    decoding,
    desk_soak,
    extract,
    forecasts,
    infilling,
    lora_speed,
    overhead,
    overmasking,
    quixbugs,
    recipes,
    recommend,
    redaction,
    replay,
    replay_encoder,
    replay_errors,
    replay_shifts,
    routers,
    routes,
    scores,
    selection,
    sentences,
    serving,
    shrinking,
    slow_movers,
    soak,
    star,
    static,
    teacher,
    tenants,
    trips,
    turns,
    widget,
    writing,
)
from bench.context import HERE, OUT, RESULTS, Context
from bench.data import NoData
from bench.venvs import PEERS

BENCHES = {
    bench.NAME: bench
    for bench in (
        banking77_full,
        banking77_few,
        clinc150,
        static,
        extract,
        act,
        writing,
        clinic_notes,
        coverage,
        scores,
        lora_speed,
        decoding,
        shrinking,
        serving,
        overhead,
        turns,
        bursts,
        soak,
        tenants,
        teacher,
        selection,
        recipes,
        recommend,
        forecasts,
        slow_movers,
        redaction,
        border,
        overmasking,
        cache,
        replay,
        replay_shifts,
        replay_errors,
        replay_encoder,
        routers,
        routes,
        trips,
        sentences,
        adapters,
        desk_soak,
        star,
        widget,
        infilling,
        quixbugs,
    )
}
DATA = HERE.parent.parent / "shared" / "data"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 where every chosen bench ran or had no data; 1 where one broke."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _stopped)  # so that a bench that is told to stop ends the programs it has started
    context = _context(given)
    context.out.mkdir(parents=True, exist_ok=True)
    if given.install:
        missing = [peer for peer in PEERS if context.peer(peer) is None]
        return 1 if missing else 0
    broken = 0
    for name in given.benches or BENCHES:
        began = time.perf_counter()
        try:
            BENCHES[name].run(context)
        except NoData as missing:
            context.say(f"{name}: skipped, {missing}")
            continue
        except KeyboardInterrupt:
            context.say(f"{name}: stopped; what was measured is kept (--keep all goes on)")
            return 130
        except Exception as error:  # noqa: BLE001 one bench that breaks must not cost the others their night
            context.say(f"{name}: broke: {type(error).__name__}: {error}")
            broken += 1
            continue
        context.say(f"{name}: done in {time.perf_counter() - began:.0f} s; written to {context.results}")
    return 1 if broken else 0


def _stopped(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benches", nargs="*", metavar="BENCH", choices=[*BENCHES, []], help=f"of: {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tiny part of the data, one seed")
    parser.add_argument("--seeds", help="one build each (default: 0,1,2; quick: 0)")
    parser.add_argument("--peer-seeds", help="seeds that the training peers are run with (default: all of --seeds)")
    parser.add_argument("--threads", type=int, help="threads of both sides (default: each side's own, one a core)")
    parser.add_argument("--no-peers", action="store_true", help="smidgen alone")
    parser.add_argument("--keep", choices=("none", "peers", "all"), default="none", help="take stored results again where settings agree")
    parser.add_argument("--build-flag", action="append", default=[], metavar="FLAG", help="another word for smidgen build; may be repeated")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies every time limit")
    parser.add_argument("--minutes", type=float, help="how long the bench soak goes on (default: 30; quick: 1)")
    parser.add_argument(
        "--data", type=Path, help="folder with banking77/ and clinc150/ (default: $SMIDGEN_BENCH_DATA, else ../shared/data)"
    )
    parser.add_argument("--out", type=Path, help="raw results, logs and bundles (default: bench/out)")
    parser.add_argument("--install", action="store_true", help="only make the peers' environments")
    return parser


def _context(given: argparse.Namespace) -> Context:
    given_data = given.data or (Path(os.environ["SMIDGEN_BENCH_DATA"]) if "SMIDGEN_BENCH_DATA" in os.environ else DATA)
    out = given.out or OUT / ("quick" if given.quick else "full")
    seeds = _numbers(given.seeds or ("0" if given.quick else "0,1,2"))
    return Context(
        data=given_data.resolve(),
        out=out.resolve(),
        results=out.resolve() / "RESULTS.md" if given.quick else RESULTS,
        seeds=seeds,
        peer_seeds=_numbers(given.peer_seeds) if given.peer_seeds is not None else None,
        threads=given.threads,
        quick=given.quick,
        peers=not given.no_peers,
        keep=given.keep,
        build_flags=tuple(given.build_flag),
        patience=given.patience,
        command=_command(given),
        minutes=given.minutes,
    )


def _command(given: argparse.Namespace) -> str:
    """The command that runs it again, without folders of this machine."""
    words = ["python", "-m", "bench", *given.benches]
    for name in ("quick", "no_peers"):
        words += [f"--{name.replace('_', '-')}"] if getattr(given, name) else []
    for name in ("seeds", "peer_seeds", "threads"):
        words += [f"--{name.replace('_', '-')}", str(getattr(given, name))] if getattr(given, name) is not None else []
    words += ["--minutes", f"{given.minutes:g}"] if given.minutes is not None else []
    words += ["--patience", f"{given.patience:g}"] if given.patience != 1 else []
    words += ["--keep", given.keep] if given.keep != "none" else []
    words += [f"--build-flag={flag}" for flag in given.build_flag]
    return shlex.join(words)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


if __name__ == "__main__":
    sys.exit(main())
