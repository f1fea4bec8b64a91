"""A catalogue of goods: reading it, ranking its items for a customer, and the reason for each in words."""
