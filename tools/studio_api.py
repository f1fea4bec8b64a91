"""Write the OpenAPI description of the Studio's API: `python -m tools.studio_api`.

`npm run types` in `studio/` makes TypeScript of it. Git ignores both files, and `make lint` makes them anew.
Only `tsc` and ESLint read them: the page builds without.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

FILE = Path(__file__).resolve().parents[1] / "studio" / "openapi.json"


def main() -> None:
    """Write the description of this code over what is there."""
    FILE.write_text(describe_api(), encoding="utf-8")


def describe_api() -> str:
    """The OpenAPI description of the app, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        store = StudioStore(f"sqlite:///{folder}/studio.db")
        try:
            app = create_studio(store, StudioAccess(store), StudioSettings(), None)
            return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"
        finally:
            store.close()


if __name__ == "__main__":
    main()
