"""smidgen and its peers, measured side by side. `python -m bench --help` says how."""
