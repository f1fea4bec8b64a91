"""Sentences that change a plan: the source of the rows that teach the recipes `events`, `wishes` and `stock-changes`."""
