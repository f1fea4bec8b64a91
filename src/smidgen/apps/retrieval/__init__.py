"""Find the passages that answer a question, by keywords and by vectors, and the sentence in them. It knows no model: vectors come by a
function."""
