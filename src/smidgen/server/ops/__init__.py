"""Running the server: health, metrics, the usage account, and the pages for a browser."""
