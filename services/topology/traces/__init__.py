"""From events to settled traces: who called whom, where errors began, where time went. Pure."""
