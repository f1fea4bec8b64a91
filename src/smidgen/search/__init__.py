"""Find the passages of documents that answer a question, by keywords and by vectors, and the sentence in them. Models come as functions."""
