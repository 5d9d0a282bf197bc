"""What settled traces add up to per minute. Pure."""
