"""The page of a solution: one HTML file with its style, pictures and tables, which loads nothing and prints well."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from smidgen.plans.solving import Cell, Solution

_SHOWN_ROWS = 500
"""Rows of a table on the page. The CSV file has all."""
_STATUS = {
    "solved": "Solved",
    "partly": "Solved in part: read what was left out",
    "infeasible": "Not solved: read why",
}


def solution_page(name: str, title: str, solution: Solution, changes: Sequence[str]) -> str:
    """The page of a solution as HTML.

    Args:
        name: of the plan.
        title: of the solver.
        solution: what is shown.
        changes: the changes made so far, in words.
    """
    return str(
        _template().render(
            name=name,
            title=title,
            status=solution.status,
            status_words=_STATUS[solution.status],
            sentences=[statement.text for statement in solution.statements],
            remarks=solution.remarks,
            changes=changes,
            pictures={file: _image_url(drawing) for file, drawing in solution.pictures.items()},
            tables=solution.tables,
            files=sorted(solution.files),
            most=_SHOWN_ROWS,
        )
    )


def _image_url(drawing: str) -> str:
    """Embed an SVG drawing as an image, in which nothing can run."""
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8")).decode("ascii")


def shown_cell(value: Cell) -> str:
    """A cell as the page shows it: numbers grouped, with at most six decimals."""
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6f}".rstrip("0").rstrip(".")


@functools.cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("smidgen.plans", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = shown_cell
    environment.tests["numeric"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    return environment.get_template("solution.html")
