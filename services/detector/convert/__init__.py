"""Between the wire and the domain, one file per subject; structural checks of requests."""
