"""Recurring jobs in captured traffic, before there is a small model for any of them."""
