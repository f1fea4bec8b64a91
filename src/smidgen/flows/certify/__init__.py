"""Certificates: tested on fresh pairs, issued, and kept under audit."""
