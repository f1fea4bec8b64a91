"""The command: writes the pages, or checks them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.reference import commands, errors, formats, http, metrics, personal_data, recipe, studio

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
_TEXTS = Path(__file__).parent / "text"
_PARTS: Mapping[str, Callable[[], dict[str, str]]] = {
    "commands": commands.parts,
    "recipe": recipe.parts,
    "http": http.parts,
    "metrics": metrics.parts,
    "errors": errors.parts,
    "formats": formats.parts,
    "personal-data": personal_data.parts,
    "studio": studio.parts,
}
_NOTE = "<!-- Written by `python -m tools.reference` from the code and tools/reference/text/: change these, then run it. -->"
_SLOT = re.compile(r"^\{\{(\w+)\}\}$", re.MULTILINE)


def page(name: str) -> str:
    """A whole page. Raises KeyError for a slot that nothing fills, ValueError for a part that has no slot."""
    template = (_TEXTS / f"{name}.md").read_text(encoding="utf-8")
    drawn = _PARTS[name]()
    if unplaced := drawn.keys() - set(_SLOT.findall(template)):
        raise ValueError(f"{name}.md has no place for {', '.join(sorted(unplaced))}")
    title, _, rest = template.partition("\n")
    text = "\n".join([title, "", _NOTE, _SLOT.sub(lambda slot: drawn[slot[1]].strip(), rest)])
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    wanted = {f"{name}.md": page(name) for name in _PARTS}
    if arguments == ["--check"]:
        stale = [name for name, text in wanted.items() if not _is(FOLDER / name, text)]
        print(f"stale: {', '.join(stale)}; run python -m tools.reference" if stale else "current")
        return int(bool(stale))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in wanted.items():
        with (FOLDER / name).open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    print(f"wrote {len(wanted)} pages, {sum(len(text.split()) for text in wanted.values()):,} words")
    return 0


def _is(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
