"""What is stored, added up and named."""
