"""Series of a corpus or of the stores, scored as the detector scores them."""
