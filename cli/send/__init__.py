"""Samples of a file, sent as a stream."""
