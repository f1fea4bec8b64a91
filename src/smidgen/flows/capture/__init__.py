"""Capturing traffic: what is stored of a request, and what is redacted first."""
