"""What the detector talks about: plain data, free of wire, database and clock."""
