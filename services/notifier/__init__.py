"""Tells people and programs what happens to incidents, once per receiver, and remembers it."""
