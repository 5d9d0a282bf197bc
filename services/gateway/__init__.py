"""HTTP in front of the mesh: webhooks, REST, live events; everything else is gRPC behind it."""
