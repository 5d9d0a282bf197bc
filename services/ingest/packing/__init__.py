"""Times and values of series as few bytes, and back: pure."""
