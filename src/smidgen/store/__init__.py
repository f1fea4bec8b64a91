"""Floor 1: data stored between runs, in one folder: `SMIDGEN_HOME`, or the user's cache folder for smidgen.

Files: every file is written whole and renamed into place (`files.py`). Databases are SQLite in WAL mode, one writer at a time
(`sqlite_wal.py`); only their owner can read them.

Steps of a build (`step_results.py`): a result is stored under the hash of its inputs: rows, settings, seed, the base's files, smidgen's
own source. A step works in `<hash>.part`, which is renamed when it is done, so a folder without `.part` is complete and a killed build
continues. The oldest results are removed when all together exceed 4 GB, except those in use or used within a day.

Lines (`line.py`): the versions of one model, and the pointer to the one that serves.

Traffic (`traffic/`): captured requests and feedback, through SQLAlchemy, on SQLite or PostgreSQL. Tables change by a few statements in
one transaction when a store is opened, not by Alembic: two tables do not need a second package in every server.
"""
