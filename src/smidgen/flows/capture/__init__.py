"""Capture of traffic: redact requests before they are stored, find recurring labels, and export stored pairs."""
