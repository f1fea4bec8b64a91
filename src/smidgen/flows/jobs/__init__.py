"""Recurring jobs in captured traffic, before any of them has a small model."""
