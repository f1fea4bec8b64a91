"""Conversations of a desk: what was said, the messages that wait to be answered, and those that wait to be delivered."""
