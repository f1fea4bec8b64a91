"""The routes of plans in the Studio."""
