"""What happens beside: timers, what is held back, what waited too long, what is old."""
