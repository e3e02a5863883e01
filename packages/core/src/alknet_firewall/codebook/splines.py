"""Natural cubic splines, many at once: one for each coordinate of a codebook.

Between the knots a spline is a cubic; outside it goes on as a straight line, so that a value far from everything seen
in training moves the score steadily and never wildly (a polynomial tail is where a density estimate is least sure).
See Green and Silverman, Nonparametric Regression and Generalized Linear Models (1994), section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Splines:
    """k natural cubic splines with m knots each.

    Attributes:
        knots: Ascending in each row, (k, m).
        values: At the knots, (k, m).
        curvatures: Second derivatives at the knots, (k, m); 0 at both ends.
    """

    knots: FloatArray
    values: FloatArray
    curvatures: FloatArray

    @classmethod
    def through(cls, knots: FloatArray, values: FloatArray) -> Splines:
        """The natural splines through `values` (k, m) at `knots` (k, m), m >= 2."""
        k, m = knots.shape
        curvatures = np.zeros((k, m))
        if m > 2:
            gaps = np.diff(knots, axis=1)  # (k, m - 1)
            slopes = np.diff(values, axis=1) / gaps
            # Continuity of the first derivative at the inner knots: one tridiagonal system a spline.
            system = np.zeros((k, m - 2, m - 2))
            inner = np.arange(m - 2)
            system[:, inner, inner] = (gaps[:, :-1] + gaps[:, 1:]) / 3
            system[:, inner[:-1], inner[1:]] = gaps[:, 1:-1] / 6
            system[:, inner[1:], inner[:-1]] = gaps[:, 1:-1] / 6
            curvatures[:, 1:-1] = np.linalg.solve(system, np.diff(slopes, axis=1)[..., None])[..., 0]
        return cls(knots, values, curvatures)

    def __sub__(self, other: Splines) -> Splines:
        """The difference of splines that have the same knots."""
        return Splines(self.knots, self.values - other.values, self.curvatures - other.curvatures)

    def __call__(self, x: npt.ArrayLike) -> FloatArray:
        """Evaluates spline j at x[..., j].

        Args:
            x: (..., k).

        Returns:
            (..., k), finite for finite input.
        """
        at = np.asarray(x, np.float64)
        inside = np.clip(at, self.knots[:, 0], self.knots[:, -1])  # (..., k)
        column = np.arange(len(self.knots))
        left = np.clip((inside[..., None] >= self.knots).sum(-1) - 1, 0, self.knots.shape[1] - 2)
        x0, x1 = self.knots[column, left], self.knots[column, left + 1]
        y0, y1 = self.values[column, left], self.values[column, left + 1]
        c0, c1 = self.curvatures[column, left], self.curvatures[column, left + 1]
        gap = x1 - x0
        a, b = (x1 - inside) / gap, (inside - x0) / gap
        bend = ((a**3 - a) * c0 + (b**3 - b) * c1) * gap**2 / 6
        slope = (y1 - y0) / gap + ((3 * b**2 - 1) * c1 - (3 * a**2 - 1) * c0) * gap / 6
        result: FloatArray = a * y0 + b * y1 + bend + slope * (at - inside)
        return result
