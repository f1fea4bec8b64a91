"""Shared by every solver: the check that a sentence states only numbers of the result, changes that fit, and the page of a solution."""
