"""Joins spans and log records to traces, counts them per minute, keeps what is new."""
