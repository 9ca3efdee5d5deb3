"""The parity ladder: NumPy against torch against every faster form."""

from typing import TYPE_CHECKING

from groundup.lab.lazy import attach

__all__ = [
    "FORMS",
    "LIMIT",
    "Cell",
    "Form",
    "Rung",
    "TorchEncoder",
    "compare_forms",
    "encoder_parity",
    "layer_parity",
    "to_torch",
    "torch_name",
]

if TYPE_CHECKING:
    from groundup.parity.ladder import FORMS, Cell, Form, compare_forms
    from groundup.parity.numpy_torch import (
        LIMIT,
        Rung,
        TorchEncoder,
        encoder_parity,
        layer_parity,
        to_torch,
        torch_name,
    )
else:
    __getattr__, __dir__ = attach(__name__)
