"""What a backtest writes, whichever series it scores."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cli.backtest.picture import Scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Where results go, and in what form.

    Attributes:
        out: gets one CSV per series.
        raw: raw scores are written instead of alert scores.
        png: each series is drawn beside its CSV.
    """

    out: Path
    raw: bool = False
    png: bool = False

    def column(self, scores: Scored) -> npt.NDArray[np.float64]:
        """The scores to write; 0 where a sample was not scored."""
        return np.nan_to_num(scores.raw if self.raw else scores.alert)
