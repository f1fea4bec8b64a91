"""Solvers, one file each: stock, routes, trips. `smidgen solve` and the Studio find them here."""
