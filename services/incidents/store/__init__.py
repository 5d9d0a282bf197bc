"""PostgreSQL, schema `incidents`."""
