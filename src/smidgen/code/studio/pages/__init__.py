"""The routes of source code in the Studio."""
