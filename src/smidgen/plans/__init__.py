"""The wing of plans: orders from a shop's sales, routes of vans, trips. A solver plans, a person or a model changes the plan in words."""
