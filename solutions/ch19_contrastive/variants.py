"""Right versions of the exercises of chapter 19 in other styles, as each docstring says."""

import torch
import torch.nn.functional as F

from groundup.course.exercises.mutants import variant


@variant("19.1", replaces="info_nce")
def cosine_similarity(queries, documents, temperature=0.05, offset=0):
    """Cosines by F.cosine_similarity, and the loss by logsumexp."""
    b = len(queries)
    if b == 0 or offset < 0 or len(documents) < offset + b:
        raise ValueError("documents")
    logits = F.cosine_similarity(queries[:, None], documents[None], dim=-1) / temperature
    right = logits[torch.arange(b), torch.arange(b) + offset]
    return torch.mean(torch.logsumexp(logits, dim=1) - right)


@variant("19.1", replaces="info_nce")
def query_by_query(queries, documents, temperature=0.05, offset=0):
    """A loop over the queries, with log_softmax and lengths bounded by hand."""
    if not (0 <= offset <= len(documents) - len(queries)) or not queries.shape[0]:
        raise ValueError("documents")
    d = documents / documents.norm(dim=1, keepdim=True).clamp_min(1e-12)
    total = 0.0
    for i in range(len(queries)):
        q = queries[i] / queries[i].norm().clamp_min(1e-12)
        total = total - torch.log_softmax(d @ q / temperature, 0)[offset + i]
    return total / len(queries)


@variant("19.2", replaces="last_token_pool")
def gathered(hidden, mask):
    """One gather with an index as wide as the vector."""
    real = mask != 0
    if (real.sum(dim=1) == 0).any():
        raise ValueError("empty")
    last = (real.long() * torch.arange(1, mask.shape[1] + 1)).amax(1) - 1
    return hidden.gather(1, last[:, None, None].expand(-1, 1, hidden.shape[-1]))[:, 0]


@variant("19.2", replaces="last_token_pool")
def row_by_row(hidden, mask):
    """A loop over the texts, and torch.stack."""
    vectors = []
    for vector, row in zip(hidden, mask, strict=True):
        places = row.nonzero()
        if not len(places):
            raise ValueError("empty")
        vectors.append(vector[int(places[-1])])
    return torch.stack(vectors)
