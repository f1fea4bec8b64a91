"""Floor 1: finds parts by name, and reads recipes. The only room that imports by name.

`registry.find("tasks", "classify")` imports `smidgen/tasks/classify.py` and returns its `part`. `registry.names("tasks")`
lists the parts without importing them: it reads the files for a line `part = ...`. An unknown name raises `UnknownPart`
with the nearest name. Another package adds a part by an entry point in a group named like the room, `smidgen.tasks`.

A recipe is one application as a TOML file. It names parts and settings and holds no code. Paths start from its folder. All
mistakes are reported at once, each with its place.
"""
