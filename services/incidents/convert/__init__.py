"""Between the wire and the domain; structural checks of requests."""
