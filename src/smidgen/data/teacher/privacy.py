"""What may leave this machine: texts without the personal data that has a form. What cannot be made safe is not sent.

Names and addresses have no form and are not found here: where texts hold them, use a teacher on this machine.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from smidgen.data import identifiers

_LONG_NUMBER = re.compile(r"(?<![\w.])\d(?:[ ./-]?\d){8,}(?![\w])")
"""Nine digits and more are an account, a file or an identity, of whatever country's form."""
_HIDDEN = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
"""Characters that are not seen: between two digits they hide a number from a pattern, and from no reader."""
_PLACE = re.compile(r"\[([A-Z_]+)_(\d+)\]")


@dataclass
class Redactor:
    """Takes personal data out of the texts of one conversation, and puts it back into what is answered.

    The same value gets the same stand-in (`[E_MAIL_1]`) in all of them, so that the teacher can tell who is who. `found` maps
    stand-ins to values.
    """

    found: dict[str, str] = field(default_factory=dict)

    def redact(self, text: str) -> str:
        """The text with a stand-in for each piece of personal data.

        Raises ValueError where some is left: written in a way that patterns see only once the text is normalised.
        """
        safe = self._replaced(text)
        rest = _HIDDEN.sub("", unicodedata.normalize("NFKC", _PLACE.sub(" ", safe)))
        # Digits of other scripts, full-width letters, invisible characters: seen after normalising, but not where they stand.
        rest = "".join(str(unicodedata.digit(letter, letter)) for letter in rest)
        kinds = sorted({kind for kind, _, _ in identifiers.spans(rest)})
        if kinds or _LONG_NUMBER.search(rest):
            raise ValueError(", ".join(kinds) or "a long number")
        return safe

    def restore(self, text: str) -> str:
        """The text with the values back in place of their stand-ins."""
        return _PLACE.sub(lambda match: self.found.get(match[0], match[0]), text)

    def _replaced(self, text: str) -> str:
        spans = sorted((start, end, kind) for kind, start, end in identifiers.spans(text))
        covered = [(start, end) for start, end, _ in spans]
        for match in _LONG_NUMBER.finditer(text):
            if not any(match.start() < end and start < match.end() for start, end in covered):
                spans.append((match.start(), match.end(), "number"))
        pieces, at = [], 0
        for start, end, kind in sorted(spans):
            pieces += [text[at:start], self._place(text[start:end], kind, text)]
            at = end
        return "".join([*pieces, text[at:]])

    def _place(self, value: str, kind: str, text: str) -> str:
        for place, known in self.found.items():
            if known == value:
                return place
        name, number = re.sub(r"[^A-Z]+", "_", kind.upper()), 1
        while (place := f"[{name}_{number}]") in self.found or place in text:
            number += 1
        self.found[place] = value
        return place
