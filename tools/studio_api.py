"""Write the OpenAPI description of the Studio's API, from which the page's types are made: `python -m tools.studio_api`, then
`npm run types` in `studio/`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

FILE = Path(__file__).resolve().parents[1] / "studio" / "openapi.json"


def described() -> str:
    """The description, as the file holds it."""
    with tempfile.TemporaryDirectory() as folder:
        store = StudioStore(f"sqlite:///{folder}/studio.db")
        try:
            app = create_studio(store, StudioAccess(store), StudioSettings(), None)
            return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"
        finally:
            store.close()


if __name__ == "__main__":
    FILE.write_text(described(), encoding="utf-8")
