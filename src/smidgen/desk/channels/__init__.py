"""Channels: e-mail and chat services that bring a desk its customers' messages and carry its replies. One file each, found by its name."""
