"""Streaming detection: pure maths, one component per file. `engine` puts them together."""
