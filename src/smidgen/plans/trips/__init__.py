"""Trips of one or several days: places from a table, wishes, and a search for the best plan under limits of time and money."""
