"""Floor 1: language. Words, numbers, dates, near-duplicates, tagging, lexicons, ROUGE and chrF."""
