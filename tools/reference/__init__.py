"""Writes `docs/reference/` from the code: `python -m tools.reference`. With `--check` it only says whether the pages are current.

Each page is a template in `text/`. A line `{{name}}` of it is replaced by what the page's module draws from the code under that name.
"""
