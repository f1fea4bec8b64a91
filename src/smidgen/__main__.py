"""`python -m smidgen` is `smidgen`."""

from smidgen.cli.main import run

run()
