"""Data of a project: imported, checked, labelled and corrected."""
