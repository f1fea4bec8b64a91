"""The face `/mcp`: served models and the tools of desks, for clients of the Model Context Protocol."""
