"""Find the sentence of a passage that answers a question. It knows no model: the states of tokens come by a function."""
