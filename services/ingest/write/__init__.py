"""Samples in: a stream or a single batch, checked row by row, committed in groups."""
