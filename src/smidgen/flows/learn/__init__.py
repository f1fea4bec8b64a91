"""Learning: a line's next version, from its rows and its traffic. `cycle` tells the order."""
