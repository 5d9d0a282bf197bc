"""Which notices a change of an incident gives, and when they go out. Pure: time is passed in."""
