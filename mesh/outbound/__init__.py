"""Calls to servers that people name: only to addresses that may be asked."""

from mesh.outbound.address import AddressRefused, GuardedTransport, Resolve, checked, refusal

__all__ = ["AddressRefused", "GuardedTransport", "Resolve", "checked", "refusal"]
