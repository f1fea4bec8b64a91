"""Public names: what files and stored traffic keep that the border masks, side by side. Prints the table in RESULTS.md.

python -m bench.public_names /path/to/data [--show]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench import border
from bench.border import Text
from bench.data import banking77, clinc150
from bench.overmasking import HALVES, SHORT, Found, altered, masker, needless, short
from bench.redaction import FILES

POLICIES = ("mask", "files", "health", "files, every kind")
_NAMES = frozenset({"personal", "person", "PERSON"})


def main() -> None:
    """Print a row for each set and policy; with `--show` also each text that is altered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that holds banking77, clinc150 and presidio-pii")
    parser.add_argument("--show", action="store_true", help="also print each altered text of the two data sets")
    given = parser.parse_args()
    whole = {"BANKING77, test": banking77(given.data)[1], "CLINC150, test": clinc150(given.data, True)[1]}
    sets = {name: [Text(text, (), str(number)) for number, (text, _) in enumerate(rows)] for name, rows in whole.items()}
    marked = {f"short requests, {half}": short(SHORT, half) for half in HALVES}
    marked |= {f"presidio-pii, {name}": border.read(given.data / "presidio-pii" / path) for name, path in FILES.items()}
    print("| what | policy | texts | altered | without need | names | wholly masked |\n|---|---|---|---|---|---|---|")
    for name, texts in {**sets, **marked}.items():
        for policy in POLICIES:
            find = masker(policy)
            found = [find(text.text) for text in texts]
            print(_line(name, policy, texts, found, name in marked and not name.startswith("presidio")), flush=True)
            if given.show and name in sets:
                for text, masked in zip(texts, found, strict=True):
                    if needless(text, masked):
                        print("   ", text.text, [(text.text[start:end], kind) for start, end, kind in masked])


def _line(name: str, policy: str, texts: Sequence[Text], found: Sequence[Found], judged: bool) -> str:
    """Return a row: of marked sets also the texts altered without need, and the names that are wholly masked."""
    names = [(text, (start, end), own) for text, own in zip(texts, found, strict=True) for start, end, kind in text.gold if kind in _NAMES]
    hidden = sum(_is_hidden(text.text, *place, own) for text, place, own in names)
    share = altered(texts, found)
    cells = [name, policy, f"{len(texts):,}", f"{sum(map(bool, found)):,}", f"{share.altered} ({share.percent:.1f}%)" if judged else ""]
    return "| " + " | ".join([*cells, f"{len(names):,}" if names else "", f"{hidden:,}" if names else ""]) + " |"


def _is_hidden(text: str, start: int, end: int, found: Found) -> bool:
    covered = {place for begin, stop, _ in found for place in range(begin, stop)}
    return all(place in covered for place in range(start, end) if text[place].isalnum())


if __name__ == "__main__":
    main()
