"""What becomes of an incident: pure functions from an incident and an act to events."""
