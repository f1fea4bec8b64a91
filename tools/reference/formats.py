"""File formats: manifest, report and certificate, from their pydantic models."""

from __future__ import annotations

from smidgen.bundles.manifest import ALLOWED_SUFFIXES, MAX_FILES, MAX_MANIFEST_BYTES, Manifest
from smidgen.gateway.certificate import Certificate
from smidgen.judge.report import Report
from tools.reference.tables import model_sections, table


def parts() -> dict[str, str]:
    """The three forms, and the limits of a bundle."""
    kinds = " ".join(f"`{suffix}`" for suffix in sorted(ALLOWED_SUFFIXES))
    limits = [("kinds of file", kinds), ("files", f"{MAX_FILES:,}"), ("`smidgen.json`", f"{MAX_MANIFEST_BYTES // 1024**2} MiB")]
    return {
        "limits": table(("a bundle may hold", "at most"), limits),
        "manifest": model_sections(Manifest),
        "report": model_sections(Report),
        "certificate": model_sections(Certificate),
    }
