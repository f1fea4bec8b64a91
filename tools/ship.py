"""Puts a built bundle into the package, as the redaction model that comes with smidgen: `python -m tools.ship BUNDLE`.

What is left out is the page of the report, which `report.json` says in full. The rest is packed anew: its manifest names what is there.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import Bundle, open_bundle
from smidgen.bundles.pack import pack
from smidgen.core.errors import GateError, InputError, SmidgenError
from smidgen.core.quantities import Metric
from smidgen.flows.local_model import load
from smidgen.flows.redaction_model import SHIPPED, PersonalDataFinder
from smidgen.judge import quality_gate, report
from smidgen.judge.quality_gate import GateSettings
from smidgen.parts import recipe

MOST_BYTES = 17_000_000
"""Of all files together: what a package may carry for those who never redact."""
LEFT_OUT = ("report.html",)


def ship(source: Path, out: Path = SHIPPED) -> Bundle:
    """Copy the bundle in `source`, verified, in place of the one that was at `out`; returns what lies there now.

    Raises:
        BundleError: it must not be opened, or has no report.
        InputError: it is not a small tagger of personal data: of another task, not int8, too large.
        GateError: its report says that a gate of its recipe was not met, or was never measured.
    """
    bundle = open_bundle(source)
    PersonalDataFinder(load(source, 1))
    if not bundle.manifest.engine.method.startswith("int8"):
        raise InputError(
            "this bundle was not made small", value=bundle.manifest.engine.method, todo='Build it with compress.method = "int8-dynamic".'
        )
    _passed(source, bundle)
    with tempfile.TemporaryDirectory(prefix="smidgen-ship-") as beside:
        files = Path(beside) / "files"
        shutil.copytree(source, files, ignore=shutil.ignore_patterns(MANIFEST, *LEFT_OUT))
        size = sum(file.stat().st_size for file in files.rglob("*") if file.is_file())
        if size > MOST_BYTES:
            raise InputError(
                "the bundle is too large for the package",
                value=f"{size / 1e6:.1f} MB, and {MOST_BYTES / 1e6:.0f} are the most",
                todo="Build it with a smaller train.vocabulary.",
            )
        pack(files, bundle.manifest, out)
    return open_bundle(out)


def _passed(source: Path, bundle: Bundle) -> None:
    """Both gates once more, on what the report says was measured. Raises GateError."""
    said = report.read(source / "report.json")
    if said.parity is None or not said.parity.passed:
        raise GateError(
            "the bundle has not passed the parity gate", value=bundle.manifest.name, todo="Build it again; nothing was shipped."
        )
    gate = recipe.read(source / "recipe.toml").settings(GateSettings)
    metrics = {name: Metric(found.value, found.low, found.high, found.n) for name, found in bundle.manifest.metrics.items()}
    quality_gate.require(metrics, bundle.manifest.headline, gate, said.baseline)


def main(given: Sequence[str] | None = None) -> int:
    """Ship the bundle that the command line names; 1 where it must not be."""
    parser = argparse.ArgumentParser(prog="python -m tools.ship", description=__doc__)
    parser.add_argument("bundle", type=Path, help="folder of the built bundle")
    try:
        shipped = ship(parser.parse_args(given).bundle)
    except SmidgenError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{shipped.folder}: {shipped.manifest.name} {shipped.id}, {shipped.size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
