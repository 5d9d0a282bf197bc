"""Pages of what is stored."""
