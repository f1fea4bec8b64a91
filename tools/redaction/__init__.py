"""Makes the texts that the redaction model learns from: own templates, values by Faker and by the formats written here.

    python -m tools.redaction --out out/redaction

Nothing is downloaded, no person is real, and the same seed gives the same files.
"""
