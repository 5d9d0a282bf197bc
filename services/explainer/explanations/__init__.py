"""Explanations as work: begun, followed by streams, worded, ended exactly once."""
