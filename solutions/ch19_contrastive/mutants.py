"""Wrong versions of the exercises of chapter 19. What is wrong stands in each docstring."""

import torch
import torch.nn.functional as F

from groundup.course.implementations import mutant


def _cosines(queries, documents, offset):
    if offset + len(queries) > len(documents):
        raise ValueError("as many documents as queries are needed")
    return F.normalize(queries, dim=-1) @ F.normalize(documents, dim=-1).T


@mutant("19.1", replaces="info_nce")
def times_temperature(queries, documents, temperature=0.05, offset=0):
    """The cosines are multiplied by the temperature: the softmax is almost even."""
    logits = _cosines(queries, documents, offset) * temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def no_offset(queries, documents, temperature=0.05, offset=0):
    """The labels lack the offset: every process but the first learns from wrong pairs."""
    logits = _cosines(queries, documents, offset) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)))


@mutant("19.1", replaces="info_nce")
def offset_counts_processes(queries, documents, temperature=0.05, offset=0):
    """The offset is taken for a number of processes and multiplied by the rows of each."""
    logits = _cosines(queries, documents, offset) / temperature
    labels = torch.arange(len(queries)) + offset * len(queries)
    return F.cross_entropy(logits, labels.clamp(max=len(documents) - 1))


@mutant("19.1", replaces="info_nce")
def not_normalised(queries, documents, temperature=0.05, offset=0):
    """The vectors are not brought to length one: a long document is near to everything."""
    _cosines(queries, documents, offset)
    return F.cross_entropy(queries @ documents.T / temperature, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def only_queries_normalised(queries, documents, temperature=0.05, offset=0):
    """Only the queries are brought to length one."""
    _cosines(queries, documents, offset)
    logits = F.normalize(queries, dim=-1) @ documents.T / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def normalised_over_batch(queries, documents, temperature=0.05, offset=0):
    """The normalisation runs over the rows of the batch (axis 0) and not over the width."""
    _cosines(queries, documents, offset)
    logits = F.normalize(queries, dim=0) @ F.normalize(documents, dim=0).T / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def sum_of_queries(queries, documents, temperature=0.05, offset=0):
    """The losses are summed and not averaged: the loss grows with the batch."""
    logits = _cosines(queries, documents, offset) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset, reduction="sum")


@mutant("19.1", replaces="info_nce")
def one_loss_a_query(queries, documents, temperature=0.05, offset=0):
    """The losses of the queries are returned, without their mean."""
    logits = _cosines(queries, documents, offset) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset, reduction="none")


@mutant("19.1", replaces="info_nce")
def documents_choose(queries, documents, temperature=0.05, offset=0):
    """The softmax runs over queries: each document chooses its query, and not the reverse."""
    log_p = (_cosines(queries, documents, offset) / temperature).log_softmax(0)
    rows = torch.arange(len(queries))
    return -log_p[rows, rows + offset].mean()


@mutant("19.1", replaces="info_nce")
def own_documents_only(queries, documents, temperature=0.05, offset=0):
    """Only this process's documents are negatives; those that were gathered are not used."""
    _cosines(queries, documents, offset)
    logits = _cosines(queries, documents[offset : offset + len(queries)], 0) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)))


@mutant("19.1", replaces="info_nce")
def positive_left_out(queries, documents, temperature=0.05, offset=0):
    """The right document is missing from the denominator: the loss can fall below zero."""
    logits = _cosines(queries, documents, offset) / temperature
    rows = torch.arange(len(queries))
    wrong = torch.ones_like(logits, dtype=torch.bool)
    wrong[rows, rows + offset] = False
    others = logits.masked_fill(~wrong, -torch.inf)
    return (others.logsumexp(-1) - logits[rows, rows + offset]).mean()


@mutant("19.1", replaces="info_nce")
def documents_detached(queries, documents, temperature=0.05, offset=0):
    """The documents are detached: only the queries learn."""
    logits = _cosines(queries, documents.detach(), offset) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def log_of_softmax(queries, documents, temperature=0.05, offset=0):
    """The logarithm of a softmax: where the probability rounds to zero the loss is infinite."""
    p = (_cosines(queries, documents, offset) / temperature).softmax(-1)
    rows = torch.arange(len(queries))
    return -p[rows, rows + offset].log().mean()


@mutant("19.1", replaces="info_nce")
def normalised_in_place(queries, documents, temperature=0.05, offset=0):
    """The vectors are normalised with /=, which changes the caller's tensors."""
    _cosines(queries, documents, offset)
    with torch.no_grad():
        queries /= queries.norm(dim=-1, keepdim=True)
        documents /= documents.norm(dim=-1, keepdim=True)
    logits = queries @ documents.T / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def documents_not_counted(queries, documents, temperature=0.05, offset=0):
    """The number of documents is not checked: queries without one are left out in silence."""
    rows = torch.arange(min(len(queries), len(documents) - offset))
    logits = F.normalize(queries, dim=-1) @ F.normalize(documents, dim=-1).T / temperature
    return F.cross_entropy(logits[rows], rows + offset)
