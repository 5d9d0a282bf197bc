"""Between the wire and the model: the only place, with the servicer, that knows the messages."""
