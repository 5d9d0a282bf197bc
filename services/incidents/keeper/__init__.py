"""Who writes: the grouping of one replica, and what people do at any."""
