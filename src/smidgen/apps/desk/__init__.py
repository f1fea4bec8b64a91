"""The desk: several models that answer a customer as one, by a policy that a shop's owner can read."""
