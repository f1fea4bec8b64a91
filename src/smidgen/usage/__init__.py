"""Floor 2, lower half: prices, budgets, tokens, energy and break-even. It imports no room of floor 2, and all of them may use it."""
