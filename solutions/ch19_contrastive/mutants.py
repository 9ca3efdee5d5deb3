"""Wrong versions of the exercises of chapter 19. What is wrong stands in each docstring."""

import torch
import torch.nn.functional as F

from groundup.course.exercises.mutants import mutant


def _cosines(queries, documents, offset):
    if not len(queries) or offset < 0:
        raise ValueError("queries and their documents are needed")
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
    if not len(queries) or offset < 0:
        raise ValueError("queries and their documents are needed")
    rows = torch.arange(min(len(queries), len(documents) - offset))
    logits = F.normalize(queries, dim=-1) @ F.normalize(documents, dim=-1).T / temperature
    return F.cross_entropy(logits[rows], rows + offset)


@mutant("19.1", replaces="info_nce")
def both_ways(queries, documents, temperature=0.05, offset=0):
    """The loss of documents that choose queries is averaged in, as CLIP does: another loss."""
    logits = _cosines(queries, documents, offset) / temperature
    rows = torch.arange(len(queries))
    there, back = logits.log_softmax(1), logits.log_softmax(0)
    return -(there + back)[rows, rows + offset].mean() / 2


@mutant("19.1", replaces="info_nce")
def mean_over_documents(queries, documents, temperature=0.05, offset=0):
    """The sum is divided by the number of documents, and not by the number of queries."""
    logits = _cosines(queries, documents, offset) / temperature
    labels = torch.arange(len(queries)) + offset
    return F.cross_entropy(logits, labels, reduction="sum") / len(documents)


@mutant("19.1", replaces="info_nce")
def in_bits(queries, documents, temperature=0.05, offset=0):
    """The logarithm has base 2: that is the loss in bits, and not in nats."""
    logits = _cosines(queries, documents, offset) / temperature
    rows = torch.arange(len(queries))
    return (logits.exp().sum(1).log2() - (logits * 1.4426950408889634)[rows, rows + offset]).mean()


@mutant("19.1", replaces="info_nce")
def divided_by_plain_length(queries, documents, temperature=0.05, offset=0):
    """The length that divides has no lower bound: a vector of zeros gives NaN."""
    _cosines(queries, documents, offset)
    q, d = (x / x.norm(dim=-1, keepdim=True) for x in (queries, documents))
    return F.cross_entropy(q @ d.T / temperature, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def gradient_of_zeros_lost(queries, documents, temperature=0.05, offset=0):
    """NaN is replaced after the division: the loss is finite, and the gradient still NaN."""
    _cosines(queries, documents, offset)
    q, d = (torch.nan_to_num(x / x.norm(dim=-1, keepdim=True)) for x in (queries, documents))
    return F.cross_entropy(q @ d.T / temperature, torch.arange(len(queries)) + offset)


@mutant("19.1", replaces="info_nce")
def temperature_of_clip(queries, documents, temperature=0.07, offset=0):
    """The temperature is 0.07 where none is given: the signature says 0.05."""
    logits = _cosines(queries, documents, offset) / temperature
    return F.cross_entropy(logits, torch.arange(len(queries)) + offset)


def _refuse_empty(mask):
    if not mask.bool().any(1).all():
        raise ValueError("every text needs a real token")


def _last(mask):
    return torch.where(mask.bool(), torch.arange(mask.shape[1]), -1).max(1).values


def _rows(hidden):
    return torch.arange(len(hidden))


@mutant("19.2", replaces="last_token_pool")
def last_column(hidden, mask):
    """Position -1 is read whatever the mask says: with padding on the right it is a pad."""
    _refuse_empty(mask)
    return hidden[:, -1]


@mutant("19.2", replaces="last_token_pool")
def count_minus_one(hidden, mask):
    """The number of real tokens minus one is no position where a text is padded on the left."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), mask.bool().sum(1) - 1]


@mutant("19.2", replaces="last_token_pool")
def first_column(hidden, mask):
    """The first position is read, as for BERT's [CLS]: a causal model has read one token there."""
    _refuse_empty(mask)
    return hidden[:, 0]


@mutant("19.2", replaces="last_token_pool")
def first_real_token(hidden, mask):
    """argmax of the mask is the first real token, and not the last."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), mask.bool().int().argmax(1)]


@mutant("19.2", replaces="last_token_pool")
def before_the_first_zero(hidden, mask):
    """The position before the first zero of the mask: a zero in front of the text misleads it."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), mask.bool().int().argmin(1) - 1]


@mutant("19.2", replaces="last_token_pool")
def one_side_for_all(hidden, mask):
    """The side of the padding is decided once for the batch, from its last column."""
    _refuse_empty(mask)
    if mask[:, -1].bool().all():
        return hidden[:, -1]
    return hidden[_rows(hidden), mask.bool().sum(1) - 1]


@mutant("19.2", replaces="last_token_pool")
def end_of_the_longest(hidden, mask):
    """All texts are read where the longest ends: the maximum runs over the batch too."""
    _refuse_empty(mask)
    return hidden[:, _last(mask).max()]


@mutant("19.2", replaces="last_token_pool")
def mean_of_real_tokens(hidden, mask):
    """The mean over the real tokens, which is right for an encoder and not for a causal model."""
    _refuse_empty(mask)
    real = mask.bool()[..., None]
    return torch.where(real, hidden, 0).sum(1) / real.sum(1).to(hidden.dtype)


@mutant("19.2", replaces="last_token_pool")
def every_end_of_every_text(hidden, mask):
    """hidden[:, last] takes the ends of all texts from each text: (B, B, D)."""
    _refuse_empty(mask)
    return hidden[:, _last(mask)]


@mutant("19.2", replaces="last_token_pool")
def gather_one_column(hidden, mask):
    """gather with an index of width 1 takes the first entry of the vector alone."""
    _refuse_empty(mask)
    return hidden.gather(1, _last(mask)[:, None, None]).squeeze(1)


@mutant("19.2", replaces="last_token_pool")
def axis_of_positions_kept(hidden, mask):
    """The axis of positions is still there, with length 1: (B, 1, D)."""
    _refuse_empty(mask)
    return hidden.take_along_dim(_last(mask)[:, None, None], dim=1)


@mutant("19.2", replaces="last_token_pool")
def squeezed_everywhere(hidden, mask):
    """squeeze() without an axis also drops the batch of one text, or a width of one."""
    _refuse_empty(mask)
    return hidden.take_along_dim(_last(mask)[:, None, None], dim=1).squeeze()


@mutant("19.2", replaces="last_token_pool")
def empty_text_accepted(hidden, mask):
    """A text without a real token is not refused, and gets the vector of a pad."""
    return hidden[_rows(hidden), _last(mask)]


@mutant("19.2", replaces="last_token_pool")
def only_an_empty_batch_refused(hidden, mask):
    """The check asks for one real token in the batch, and not for one in each text."""
    if not mask.any():
        raise ValueError("every text needs a real token")
    return hidden[_rows(hidden), _last(mask)]


@mutant("19.2", replaces="last_token_pool")
def mask_changed_in_place(hidden, mask):
    """The mask is multiplied by the positions in place, and the caller's mask is gone."""
    _refuse_empty(mask)
    last = _last(mask)
    mask *= torch.arange(mask.shape[1]).to(mask.dtype)
    return hidden[_rows(hidden), last]


@mutant("19.2", replaces="last_token_pool")
def cut_off(hidden, mask):
    """The result is detached: the model behind it learns nothing."""
    _refuse_empty(mask)
    return hidden.detach()[_rows(hidden), _last(mask)]


@mutant("19.2", replaces="last_token_pool")
def product_with_zeros(hidden, mask):
    """All positions but one are multiplied by zero and summed: an infinite pad becomes NaN."""
    _refuse_empty(mask)
    chosen = torch.arange(mask.shape[1]) == _last(mask)[:, None]
    return (hidden * chosen[..., None]).sum(1)


@mutant("19.2", replaces="last_token_pool")
def argmax_of_reversed_mask(hidden, mask):
    """argmax of the reversed mask: it fails for booleans and is misled by numbers above one."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), mask.shape[1] - 1 - mask.flip(1).argmax(1)]


@mutant("19.2", replaces="last_token_pool")
def only_ones_are_real(hidden, mask):
    """Entries that equal 1 are taken for real tokens, and not all that are not zero."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), _last(mask == 1)]


@mutant("19.2", replaces="last_token_pool")
def only_positive_is_real(hidden, mask):
    """Entries above zero are taken for real tokens, and not all that are not zero."""
    _refuse_empty(mask)
    return hidden[_rows(hidden), _last(mask > 0)]


@mutant("19.2", replaces="last_token_pool")
def positions_rounded(hidden, mask):
    """Positions in the dtype of hidden: bfloat16 has no odd whole numbers above 256."""
    _refuse_empty(mask)
    positions = mask.bool().to(hidden.dtype) * torch.arange(mask.shape[1]).to(hidden.dtype)
    return hidden[_rows(hidden), positions.argmax(1)]


@mutant("19.1", replaces="info_nce")
def added_to_the_length(queries, documents, temperature=0.05, offset=0):
    """1e-6 is added to each length, so that cosines of short vectors come out too small."""
    q, d = (x / (x.norm(dim=-1, keepdim=True) + 1e-6) for x in (queries, documents))
    _cosines(queries, documents, offset)
    labels = torch.arange(len(q)) + offset
    return F.cross_entropy(q @ d.T / temperature, labels)


@mutant("19.2", replaces="last_token_pool")
def positions_in_the_masks_type(hidden, mask):
    """Positions take the mask's own type: int8 ends at 127, and bfloat16 rounds above 256."""
    _refuse_empty(mask)
    kind = torch.int64 if mask.dtype == torch.bool else mask.dtype
    positions = mask.bool().to(kind) * torch.arange(mask.shape[1]).to(kind)
    return hidden[_rows(hidden), positions.argmax(1)]
