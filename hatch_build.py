"""Stop the build of a wheel or sdist that lacks the Studio's page, which only Node can build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StudioPageHook(BuildHookInterface[Any]):
    """Stops the build of a wheel or an sdist that would lack the Studio's page."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raise RuntimeError where the page was not built. An editable install needs none."""
        page = Path(self.root) / "src" / "smidgen" / "studio" / "dist" / "index.html"
        if version != "editable" and not page.is_file():
            raise RuntimeError(
                f"The Studio's page was not built: {page} is missing. Run `make studio` first, which needs Node 20.19 or pip."
            )
