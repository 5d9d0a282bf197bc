"""Room for explanations in one process, taken without an await, so that it is never exceeded."""


class Room:
    """Counts places. A run keeps its place until it ends."""

    def __init__(self, places: int) -> None:
        """All of `places` are free."""
        self._free = places

    def take(self, wanted: int = 1) -> int:
        """Takes as many places as are free, at most `wanted`, and tells how many."""
        taken = max(0, min(wanted, self._free))
        self._free -= taken
        return taken

    def give_back(self, places: int = 1) -> None:
        """Frees places that were taken."""
        self._free += places
