"""Log templates: ours beside drain3."""
