"""How commands talk to the services: the only place of the command line that knows protobuf."""
