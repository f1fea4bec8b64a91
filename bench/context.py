"""What every bench is given: where things lie, what was asked for, and how programs are run and their results kept."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import process, venvs
from bench.process import Ran

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
OUT = HERE / "out"


@dataclass
class Context:
    """One call of `python -m bench`.

    Attributes:
        data: folder with `banking77/` and `clinc150/`.
        out: raw results, logs, bundles; not in git.
        results: the page that tables are written to.
        seeds: one build each. `peer_seeds` are those of them that the slow peers are run with.
        threads: of both sides; None: each side's own default, which is one a core for all of them.
        quick: a tiny part of everything, to try the harness.
        peers: whether peers are run. `keep` says whose stored results are taken again: none, peers, all.
        build_flags: more flags for `smidgen build`.
        minutes: how long the soak goes on; None: as long as it says itself.
        patience: every time limit is multiplied by it.
    """

    data: Path
    out: Path
    results: Path
    seeds: tuple[int, ...]
    peer_seeds: tuple[int, ...] | None
    threads: int | None
    quick: bool
    peers: bool
    keep: str
    build_flags: tuple[str, ...]
    patience: float
    command: str
    minutes: float | None = None
    troubles: list[str] = field(default_factory=list)
    _pythons: dict[str, Path | None] = field(default_factory=dict)

    @property
    def used_threads(self) -> int:
        """How many threads each side computes with."""
        return self.threads or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)

    def env(self) -> dict[str, str]:
        """Thread counts for the programs, where they were asked for."""
        if self.threads is None:
            return {}
        return {name: str(self.threads) for name in process.THREAD_COUNTS}

    def run(self, command: Sequence[str | Path], name: str, limit: float) -> Ran:
        """Run a program; its output is kept under `out/logs/<name>`."""
        return process.run(command, limit=limit * self.patience, log=self.out / "logs" / name, env=self.env())

    def peer(self, name: str) -> Path | None:
        """The interpreter of a peer; None, with a note, where peers are off or it cannot be installed."""
        if not self.peers:
            return None
        if name not in self._pythons:
            try:
                self._pythons[name] = venvs.python(name, self.out / "logs")
            except venvs.NoPeer as trouble:
                self.say(f"no {name}: {trouble}")
                self.troubles.append(str(trouble))
                self._pythons[name] = None
        return self._pythons[name]

    def with_peer(self, seed: int) -> bool:
        """Whether the slow peers are run with this seed."""
        return self.peers and seed in (self.peer_seeds if self.peer_seeds is not None else self.seeds)

    def base(self) -> Path:
        """The folder of the starter base, the same for both sides."""
        from smidgen.bases.lookup import pull

        return pull("minilm").folder

    def measured(self, key: str, settings: Mapping[str, Any], work: Callable[[], dict[str, Any]], *, peer: bool) -> dict[str, Any]:
        """The result of one run, stored as soon as it is there; or the stored one, where `keep` says so and the settings are the same."""
        file = self.out / "raw" / f"{key}.json"
        wanted = json.loads(json.dumps({**settings, "quick": self.quick, "threads": self.used_threads}))
        if file.is_file() and (self.keep == "all" or (self.keep == "peers" and peer)):
            stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if stored.get("settings_key") == wanted and not stored.get("trouble"):
                self.say(f"{key}: kept from {stored['measured_at']}")
                return {**stored, "kept": True}
        self.say(f"{key} ...")
        began = time.perf_counter()
        result = {**work(), "settings_key": wanted, "measured_at": time.strftime("%Y-%m-%d %H:%M")}
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(file)
        shown = f"accuracy {result['accuracy']:.2%}, " if "accuracy" in result else ""
        self.say(f"{key}: {result.get('trouble') or shown + f'{time.perf_counter() - began:.0f} s'}")
        return result

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def last_json(text: str) -> dict[str, Any]:
    """The JSON object that a program printed: all of its output, or its last line. Raises ValueError where there is none."""
    for candidate in (text, text.strip().splitlines()[-1] if text.strip() else ""):
        try:
            found = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    raise ValueError(f"no JSON object in: {text[-200:]!r}")
