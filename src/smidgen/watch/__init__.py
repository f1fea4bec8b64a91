"""Test whether the traffic of a model still resembles its earlier traffic."""
