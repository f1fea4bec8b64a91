"""Completing code: whole files are held out, and less is read of a learnt gap than of one that is asked for."""

from __future__ import annotations

from smidgen.code.tasks import CompleteSettings
from smidgen.code.tasks import part_complete as part
from smidgen.core.rows import Row

LINES = "".join(f"    total_{{name}}[{number}] = price({number}) + {{name}}_{number}\n" for number in range(60))
FILES = [
    Row(f"{name}.py", f"def {name}(price):\n" + LINES.format(name=name), n) for n, name in enumerate(("a1", "b2", "c3", "d4", "e5"), 1)
]


def test_files_are_held_out_whole_and_learnt_in_short_texts() -> None:
    settings = CompleteSettings(ahead=1500, behind=400)
    rows = part.split(FILES, settings, 0)
    seen = [
        {next(name for name in ("a1", "b2", "c3", "d4", "e5") if name in row.output + "".join(row.input)) for row in some}
        for some in (rows.fit, rows.held, rows.test)
    ]
    assert [len(names) for names in seen] == [3, 1, 1] and len(set.union(*seen)) == 5
    longest = [max(len(row.input[place]) for row in some) for some in (rows.fit, rows.test) for place in (0, 1)]
    assert 500 < longest[0] <= 600 and 250 < longest[1] <= 300 and 600 < longest[2] <= 1500 and 300 < longest[3] <= 400
    near = part.split(FILES, CompleteSettings(ahead=200, behind=100), 0)
    assert max(len(row.input[0]) for row in near.fit) <= 200 and max(len(row.input[1]) for row in near.fit) <= 100
