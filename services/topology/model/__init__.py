"""The domain of topology: events, names, edges."""
