"""Workers beside the server: fill Redis, compact the log, drop what is old."""
