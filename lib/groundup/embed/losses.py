"""The contrastive loss (van den Oord et al., 2018, arXiv 1807.03748)."""

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

    Derivation:
        With :math:`p_{ij}` the softmax over documents and :math:`y_{ij} = [j = o + i]`, the
        gradient with respect to a cosine is :math:`(p_{ij} - y_{ij}) / (b\,\tau)`: the right
        document is pulled by what it lacks, each wrong one pushed by what it takes.
    """
    if not len(queries):
        raise ValueError("info_nce needs at least one query: got none")
    if offset < 0 or offset + len(queries) > len(documents):
        raise ValueError(
            f"{len(queries)} queries from row {offset} on need as many documents: "
            f"got {len(documents)}"
        )
    q = F.normalize(queries, dim=-1)
    d = F.normalize(documents, dim=-1)
    logits = q @ d.T / temperature  # (b, N)
    labels = torch.arange(len(queries), device=queries.device) + offset
    return F.cross_entropy(logits, labels)
