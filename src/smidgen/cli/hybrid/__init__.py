"""The hybrid demo: a shop's line behind the gateway, with a recording in the place of the large model."""
