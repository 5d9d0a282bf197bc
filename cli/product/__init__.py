"""The product on this machine: stores and services, their addresses, keys and data directory."""
