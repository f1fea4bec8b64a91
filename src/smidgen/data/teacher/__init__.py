"""A larger model as a teacher: its questions, their cost, its answers, and the filters on these."""
