"""What ingest talks about: plain data and the rules on it, free of wire, database and clock."""
