"""Floor 2: what stands between a request and the small model: certificates, and whether they hold."""
