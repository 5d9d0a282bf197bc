"""What HTTP is to the gateway: a server, endpoints, bodies, problems, and what a path is about."""
