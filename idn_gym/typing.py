"""Names for arrays in signatures: what they hold. Shapes stand in the docstrings.

A type checker sees one array type, since it cannot follow NumPy's promotions.
"""

from typing import Any

from numpy.typing import NDArray

FloatArray = NDArray[Any]
IntArray = NDArray[Any]
BoolArray = NDArray[Any]
