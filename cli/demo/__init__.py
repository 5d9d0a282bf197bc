"""The demonstration: this machine's own metrics, a real load, a real alert, an explanation."""
