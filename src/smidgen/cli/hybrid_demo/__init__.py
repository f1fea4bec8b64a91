"""The hybrid demo: a shop's line behind the gateway, with a recording in place of the large model."""
