"""Plans of the Studio: each is a folder with a recipe of a solver, the tables that were sent, and the last solution."""
