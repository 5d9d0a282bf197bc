"""Workers beside the server: forget what is old."""
