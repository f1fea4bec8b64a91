"""The routes of the desk's pages in the Studio."""
