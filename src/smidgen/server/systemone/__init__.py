"""System One's API: typed questions about a state, answered with calibrated probabilities."""
