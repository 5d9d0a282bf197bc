"""Notices on their way: claimed, sent, settled, tried again."""
