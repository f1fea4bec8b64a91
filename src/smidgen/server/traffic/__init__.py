"""Captured traffic: collect, redact and store requests and answers, and accept feedback on them."""
