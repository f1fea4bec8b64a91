"""Models of a project: asked, explained, measured and downloaded."""
