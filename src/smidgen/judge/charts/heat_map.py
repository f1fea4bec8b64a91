"""The confusion table as a heat map: gold down, answers across."""

from __future__ import annotations

from markupsafe import Markup

from smidgen.judge.charts.axes import picture, tag
from smidgen.judge.sections import ConfusionTable, shortened

_LONGEST = 26
_LETTER = 7.4  # mean width of a letter at the size of tick labels, rather too wide: fonts differ


def draw(table: ConfusionTable) -> Markup:
    """The heat map. A cell's opacity is its share of the gold label's rows; with few labels the counts are in the cells."""
    labels, n = table.labels, len(table.labels)
    names = [shortened(label, _LONGEST) for label in labels]
    cell = 92.0 if n <= 3 else 46.0 if n <= 9 else 26.0 if n <= 22 else 19.0
    longest = max(map(len, names), default=0)
    side = longest * _LETTER + 14
    level = n <= 3  # few enough labels for horizontal names above their columns
    head = 30.0 if level else longest * _LETTER * 0.77 + 20
    tail = 10.0 if level else longest * _LETTER * 0.65
    width, height = side + n * cell + tail, head + n * cell + 6
    drawn: list[Markup] = [tag("rect", x=side, y=head, width=n * cell, height=n * cell, class_="field")]
    for at, (label, name) in enumerate(zip(labels, names, strict=True)):
        middle = at * cell + cell / 2
        drawn.append(tag("text", name, tag("title", label), x=side - 8, y=head + middle + 4, class_="tick", text_anchor="end"))
        x, y = side + middle, head - 8
        drawn.append(
            tag("text", name, tag("title", label), x=x, y=y, class_="tick", text_anchor="middle")
            if level
            else tag("text", name, tag("title", label), x=x + 2, y=y, class_="tick", transform=f"rotate(-50 {x + 2:.1f} {y:.1f})")
        )
        drawn.append(
            tag(
                "path",
                d=f"M{side:.1f},{head + at * cell:.1f}h{n * cell:.1f}M{side + at * cell:.1f},{head:.1f}v{n * cell:.1f}",
                class_="mesh",
            )
        )
    for row, counts in enumerate(table.counts):
        total = sum(counts)
        for column, number in enumerate(counts):
            if number:
                drawn.append(_cell(table, row, column, number, number / total, side + column * cell, head + row * cell, cell))
    wrong = sum(number for row, counts in enumerate(table.counts) for column, number in enumerate(counts) if row != column)
    return picture(
        "heat-map",
        width,
        height,
        "Which labels are mistaken for which",
        f"{n} labels; rows are the right label, columns the answer. {wrong} answers lie off the diagonal.",
        *drawn,
        widest=width,
    )


def size(table: ConfusionTable) -> int:
    """The least width, in pixels, at which names can be read."""
    n = len(table.labels)
    return 300 if n <= 3 else 420 if n <= 9 else 760


def _cell(table: ConfusionTable, row: int, column: int, number: int, share: float, x: float, y: float, cell: float) -> Markup:
    right = row == column
    strength = max(0.12, share**0.5) if not right else max(0.15, share**1.5)
    gold, answer = table.labels[row], table.labels[column]
    words = f"{gold}: {number} right ({100 * share:.0f} %)" if right else f"{gold} answered as {answer}: {number} ({100 * share:.0f} %)"
    gap = 1.0 if cell > 20 else 0.5
    drawn = [
        tag("title", words),
        tag(
            "rect",
            x=x + gap,
            y=y + gap,
            width=cell - 2 * gap,
            height=cell - 2 * gap,
            rx=2.0,
            class_="right" if right else "wrong",
            fill_opacity=strength,
        ),
    ]
    if cell >= 26:
        light = "cell-number on" if strength > 0.78 else "cell-number"
        drawn.append(tag("text", f"{number}", x=x + cell / 2, y=y + cell / 2 + (5 if cell > 60 else 4), class_=light, text_anchor="middle"))
    return tag("g", *drawn)
