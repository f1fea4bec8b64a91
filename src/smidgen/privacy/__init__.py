"""Floor 2, lower half: what finds, masks and restores personal data. It knows no room of floor 2, and all of them may use it."""
