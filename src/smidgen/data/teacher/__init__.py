"""A larger model as a teacher: what is asked of it, what it may cost, what leaves, what of its answers is believed."""
