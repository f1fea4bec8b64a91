"""Floor 1: intervals, tests, calibration and risk bounds that every room may use.

Every function names the source of its formula. docs/explanation/statistics.md says which module answers which question.
"""
