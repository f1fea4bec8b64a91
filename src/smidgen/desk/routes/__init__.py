"""A desk on a site: the chat widget, the frame that it opens, and the calls that the frame makes. Visitors need no API key."""
