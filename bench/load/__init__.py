"""Load on the whole product, over gRPC and HTTP, with a report."""
