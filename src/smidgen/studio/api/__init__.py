"""The Studio's API under `/api/v1`, its page, and who may do what."""
