"""Hours are rolled up, what is old is dropped."""
