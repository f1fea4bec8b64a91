"""Floor 0: the shapes that everything is made of, and the errors. Standard library and pydantic only."""
