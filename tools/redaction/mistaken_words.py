"""Words of a dictionary that the redaction model takes for people, and that are no names: a section of the list of public names.

    python -m tools.redaction.mistaken_words /usr/share/dict/american-english-small

Prints them, separated by commas. Each is tried in some short requests; given names and surnames of any of Faker's languages are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from faker import Faker
from faker.config import AVAILABLE_LOCALES

from smidgen.flows.redaction_model import finder

REQUESTS = (
    "{}",
    "tell me about {}",
    "do you have any {} here",
    "is the {} good",
    "i need {} today",
    "how do i get {} for dinner",
    "my {} does not work",
    "{} is what i asked for",
)
_SHORTEST = 3
_BATCH = 4_000


def main() -> None:
    """Print the words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dictionary", type=Path, help="a word a line; those with a capital or an apostrophe are left out")
    lines = parser.parse_args().dictionary.read_text(encoding="utf-8").splitlines()
    names = given_names()
    print(", ".join(mistaken(word for word in lines if word.isalpha() and word.islower() and len(word) >= _SHORTEST and word not in names)))


def given_names() -> frozenset[str]:
    """Return the words of people's names, in small letters."""
    found: set[str] = set()
    for locale in AVAILABLE_LOCALES:
        person = next(one for one in Faker(locale, use_weighting=False).get_providers() if hasattr(one, "first_names"))
        for kind in (name for name in dir(person) if name.startswith(("first_name", "last_name", "middle_name"))):
            entries = getattr(person, kind)
            if not callable(entries):
                found |= {word for name in entries for word in str(name).casefold().replace("-", " ").split()}
    return frozenset(found)


def mistaken(words: Iterable[str]) -> list[str]:
    """Return the words that the model takes for a person in one of the requests."""
    model, wanted = finder(threads=1), list(dict.fromkeys(words))
    found: set[str] = set()
    for start in range(0, len(wanted), _BATCH):
        texts = {form.format(word): word for form in REQUESTS for word in wanted[start : start + _BATCH]}
        for text, spans in model.many(texts).items():
            if any(kind == "person" and texts[text] in text[begin:end].casefold().split() for kind, begin, end in spans):
                found.add(texts[text])
    return sorted(found)


if __name__ == "__main__":
    main()
