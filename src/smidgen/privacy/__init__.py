"""Floor 2, lower half: finds, masks and restores personal data. It imports no room of floor 2, and all of them may import it."""
