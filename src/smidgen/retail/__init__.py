"""The wing of shops: a catalogue of goods, what to suggest to a customer, and the reason in words."""
