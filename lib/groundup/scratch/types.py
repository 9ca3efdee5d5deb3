"""Names for the arrays that travel through scratch. Shapes stand in each docstring."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
IntArray = NDArray[np.integer[Any]]
BoolArray = NDArray[np.bool_]
Cache = tuple[Any, ...]
"""What a forward pass keeps for its backward pass. Only that pair looks inside."""

Params = dict[str, Array]
"""Parameters, or their gradients, by name."""
