"""Captured traffic: requests and answers are collected, redacted and stored, and feedback on them is taken."""
