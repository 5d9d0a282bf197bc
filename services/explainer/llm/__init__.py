"""Servers with language models: how they are named, reached, asked and given up."""
