"""Floor 3: the only place that knows the order of things."""
