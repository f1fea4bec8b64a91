"""smidgen: small language models from your own examples, trained, checked and served on an ordinary CPU.

    import smidgen

    smidgen.build("smidgen.toml", out="my-model")
    model = smidgen.load("my-model")
    model.predict(["where is my parcel"])

Importing this is quick and does nothing: what a function needs is loaded when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.core.version import VERSION as __version__

if TYPE_CHECKING:
    from smidgen.core.progress import Progress
    from smidgen.flows.build.pipeline import BuildResult
    from smidgen.flows.data_check import DataCheck
    from smidgen.flows.local_model import Model
    from smidgen.privacy.redactor import Redactor

__all__ = ["__version__", "build", "check", "load", "redactor"]


def build(
    recipe: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    overrides: Sequence[str] = (),
    fresh: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Build a bundle: read, train, make small, measure, pass the gate, pack.

    Args:
        recipe: a recipe's file, or its content: `{"name": "tickets", "task": "classify", "data": {"train": "tickets.csv"}}`.
        out: the bundle's folder; default: the recipe's name, beside the recipe.
        overrides: settings laid over the recipe, as `--set` takes them: `"train.epochs=3"`.
        fresh: do every step anew, even where a stored result fits.
        threads: threads to compute with; default one a core.
        progress: told of the work as it goes on.

    Raises:
        InputError: data or settings that cannot be used.
        GateError: the model does not meet its gate; nothing is shipped.
        MissingExtra: smidgen was installed without `[train]`.
    """
    from smidgen.flows.build.pipeline import build as run
    from smidgen.parts.recipe import make, read

    made = make(recipe, overrides) if isinstance(recipe, Mapping) else read(Path(recipe), overrides)
    target = Path(out) if out is not None else made.folder / made.name
    return run(made, target, fresh=fresh, threads=threads, progress=progress)


def check(
    file: str | Path,
    *,
    test: str | Path | None = None,
    input: str | None = None,
    label: str | None = None,
    task: str = "classify",
    overrides: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> DataCheck:
    """Look through a data file for what decides a model's quality: `check("tickets.csv").inspection.findings`; `.fix(out)` mends a copy.

    Args:
        file: the data file.
        test: a test file that the rows must not leak into.
        input, label: its columns; guessed unless given.
        task: what is to be learnt from it.
        overrides: other settings, as `--set` takes them: `"data.encoding=cp1252"`.
        threads: threads to compute with; default one a core.
        progress: told of the slow parts.

    Raises:
        DataError: the file cannot be read; names the row and the column.
    """
    from smidgen.flows.data_check import check_data as run

    return run(file, test=test, input=input, label=label, task=task, overrides=overrides, threads=threads, progress=progress)


def load(path: str | Path, threads: int | None = None) -> Model:
    """Open a bundle, verify every hash, load its weights. Raises BundleError, naming the file, for one that must not be opened."""
    from smidgen.flows.local_model import load as run

    return run(path, threads)


def redactor(
    bundle: str | Path | None = None, *, kinds: Sequence[str] = (), threads: int | None = None, known: Sequence[str] = ()
) -> Redactor:
    """A redactor of one conversation: it masks personal data in texts and restores it in an answer.

        redactor = smidgen.redactor()
        safe = redactor.mask("Margaret Holloway asks for a refund")  # "[PERSON_1] asks for a refund"
        redactor.unmask("Dear [PERSON_1], it is on its way.")

    `spans(text)` says what is found and where. The model that comes with smidgen finds it, on this machine, together with patterns whose
    check digits hold; it is opened once for all redactors. `mask` and `spans` raise RedactionError for a text that cannot be made safe:
    over 1,000,000 characters, or with personal data that invisible characters hide from the patterns.

    Args:
        bundle: folder of a bundle of your own that finds spans, in place of the model that comes with smidgen.
        kinds: what the model is to find (`person`, `address`, ...), wherever it stands. Default: all that it knows, but places,
            organisations and dates only where a text also tells who somebody is. `("all",)`: all that it knows, wherever it stands.
            What the patterns find is always taken out.
        threads: threads to compute with; default one a core.
        known: names that are nobody's, such as your products and assistants. They stay, as well-known companies and people do, unless
            the words around one show a private person.

    Raises:
        BundleError: no model comes with this smidgen, or the bundle must not be opened.
        InputError: the bundle does not find spans, or knows no such kind; or there are too many known names, or an empty one.
    """
    from smidgen.flows.redaction_model import redactor as run

    return run(bundle, kinds, threads, known)
