"""Causes of recorded incidents."""
