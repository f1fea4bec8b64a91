"""Routes of vans: stops, vans and travel times from tables, plans by PyVRP, changes by events, maps and driver sheets."""
