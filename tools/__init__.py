"""Small programs for those who work on smidgen itself; none of them is installed."""
