"""The Studio's server: its pages, its API under `/api/v1`, and who may do what."""
