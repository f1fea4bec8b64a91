"""Operation of the server: health, metrics, the usage account, and pages for a browser."""
