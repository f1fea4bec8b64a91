"""The Studio's database: projects, versions of their data, runs, accounts. SQLite in smidgen's home, or PostgreSQL by URL."""
