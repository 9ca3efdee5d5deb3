# Stub 75b9b2400ea0: yours to edit. It is never written over unasked.
"""Exercise 19.1, InfoNCE over several processes.

Write the body of ``info_nce``, then run
``groundup check 19.1``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def info_nce(
    queries: Tensor, documents: Tensor, temperature: float = 0.05, offset: int = 0
) -> Tensor:
    r"""How surprised each query is that its own document is the right one of all.

    .. math:: -\frac1b \sum_i \log
        \frac{e^{\cos(q_i, d_{o+i})/\tau}}{\sum_j e^{\cos(q_i, d_j)/\tau}}

    Args:
        queries: (b, D), the rows of this process.
        documents: (N, D), the rows of every process, N ≥ b. The right document of query i is row
            ``offset + i``; every other row is a negative. The cosine with a vector of zeros is 0.
        temperature: τ. Cosines lie in [−1, 1]; divided by 0.05 they span −20 to 20 nats.
        offset: where this process's documents begin: rank · b.

    Returns:
        The mean cross-entropy in nats, a scalar.

    Raises:
        ValueError: there is no query, or the documents do not hold one for each.
    """
    raise NotImplementedError("19.1")
