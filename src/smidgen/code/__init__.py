"""The wing of source code: complete it, explain its errors, write tests for it, find its faults."""
