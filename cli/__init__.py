"""The `sensus` command line: starts the product on one machine and talks to it."""
