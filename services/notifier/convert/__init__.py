"""The wire as the domain, and back."""
