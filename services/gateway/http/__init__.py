"""What HTTP is to the gateway: a server, endpoints and their routing, bodies, problems."""
