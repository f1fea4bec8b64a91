"""Floor 1: intervals, tests, calibration and risk bounds for every room.

Every function names the source of its formula. docs/explanation/statistics.md says which module answers which question.
"""
