"""The contract, to and from the domain."""
