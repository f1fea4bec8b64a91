"""The wing of support desks: several models that answer customers as one, by a policy that a shop's owner can read."""
