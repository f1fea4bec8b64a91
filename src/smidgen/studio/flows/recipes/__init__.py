"""The recipe of a project: as text, as settings and as a canvas."""
