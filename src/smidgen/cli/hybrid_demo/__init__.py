"""The hybrid demo: a shop's model behind the gateway, with a recording in place of the large model."""
