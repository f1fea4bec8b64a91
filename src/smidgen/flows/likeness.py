"""How near texts are to each other, for the cache of answers: vectors of the starter encoder, of texts that it reads whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from smidgen.bases.starter import starters
from smidgen.core.errors import InputError
from smidgen.engines.tokens import Tokens
from smidgen.flows.embedding import embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TOKENS = 128
"""What the encoder reads of a text."""
_UNKNOWN = "[UNK]"


def opened() -> Callable[[str], NDArray[np.float32] | None]:
    """What gives a text's vector, (width,), of length 1; None for a text with more in it than the encoder reads, or with signs that it does
    not know: two such texts can have one vector and mean anything.

    One thread is enough: texts come one at a time. Raises InputError where the starter encoder is not here, MissingExtra where it was not
    made ready on this machine yet and `onnx`, which does that, is not installed.
    """
    embed = embedder(threads=1)
    if embed is None:
        todo = "Fetch it once: smidgen pull minilm. Or use --cache exact."
        raise InputError("near texts are found by the starter encoder, and it is not here", value="minilm", todo=todo)
    tokens = Tokens(starters()["minilm"].verify().folder, MAX_TOKENS + 1)

    def vector(text: str) -> NDArray[np.float32] | None:
        (read,) = tokens.encode([text])
        if not text.strip() or len(read.ids) > MAX_TOKENS or _UNKNOWN in read.tokens:
            return None
        found: NDArray[np.float32] = embed([text])[0]
        return found

    return vector
