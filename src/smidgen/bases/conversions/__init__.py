"""Readers of formats of their own in which Python packages carry weights: each writes a folder as other bases are."""
