"""Students that learn what to suggest: from what was bought together, from what sells, and from the texts of goods."""
