"""Workers beside the server: drop what is old."""
