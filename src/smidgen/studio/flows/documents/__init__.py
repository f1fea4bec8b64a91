"""The documents of a project: what was read of each, questions about them, and a question tested on them."""
