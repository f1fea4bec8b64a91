"""How a large model answered, in one word: said by whoever read its answer, stored with it, and judged by the same rule everywhere."""

from __future__ import annotations

from typing import Literal

AnswerState = Literal["", "whole", "long", "cut", "refused", "tools", "blank", "odd", "broken"]
"""
- empty: no large model answered, or a store of an older smidgen does not say how;
- `whole`: one text, to its end;
- `long`: one text, to its end, and longer than is kept;
- `cut`: its text was ended before its end, by a bound on its length for one;
- `refused`: it refused, or its text was filtered out;
- `tools`: it calls a tool;
- `blank`: to its end, and there is no text in it;
- `odd`: another kind of answer: several choices, or content that is not text;
- `broken`: it was not sent to its end, had a failure in it, or is no answer at all. What the model would have said is not known.
"""

UNLIKE: frozenset[AnswerState] = frozenset({"long", "cut", "refused", "tools", "blank", "odd"})
"""The large model answered, and not with one whole text that can be compared: no answer of a small model agrees with it. To leave such
requests out where a small model is compared with the large one would measure it on those that went well."""
