"""What the notifier speaks of: incidents as they stand, and notices of them."""
