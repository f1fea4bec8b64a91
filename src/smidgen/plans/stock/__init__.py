"""Forecasts of sales, and when to order how much."""
