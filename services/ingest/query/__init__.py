"""Samples out to whoever asks for a time range."""
