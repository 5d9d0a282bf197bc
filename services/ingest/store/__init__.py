"""PostgreSQL as ingest sees it: the only place with SQL."""
