"""Floor 0: the shapes that every room shares, and the errors. Standard library and pydantic only.

Shapes: a row, a reply, a metric with its interval, progress, cancellation, and the interface of each kind of part (`parts.py`).

A setting is written once, in the part that owns it (`settings.py`). The recipe section, its checks, flags, help and the
reference come from there.

Every error says what happened, with which value, and what to do next. All are `SmidgenError`, so one `except` in a program
that uses smidgen catches them (`errors.py`).
"""
