"""What `flows/learn.py` is made of: rows and their sides, the challenger, the contest, the certificate, the change of champions."""
