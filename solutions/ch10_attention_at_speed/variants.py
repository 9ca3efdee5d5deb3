"""Right versions of the exercises of chapter 10 in other styles, as each docstring says."""

import math

import numpy as np
import torch

from groundup.course.exercises.mutants import variant
from groundup.neobert.batch_layout import Packed
from groundup.scratch.flash import Traffic, finish_rows, merge_block, tile_mask


@variant("10.1", replaces="merge_block")
def repaired(top, total, out, scores, values):
    """NaN from infinity less infinity is put right afterwards; einsum, and a list for a tuple."""
    most = np.fmax(top, np.amax(scores, axis=-1)[..., None])
    with np.errstate(invalid="ignore"):
        old = np.nan_to_num(np.exp(top - most), nan=0.0)
        new = np.nan_to_num(np.exp(scores - most), nan=0.0)
    sums = np.einsum("...tc->...t", new)[..., None]
    return [most, old * total + sums, old * out + np.einsum("...tc,...ck->...tk", new, values)]


@variant("10.1", replaces="finish_rows")
def by_the_top(top, total, out):
    """Rows that have seen nothing are told by the largest score."""
    unseen = np.isneginf(top)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(unseen, 0, out / total)
        log_sum = top + np.log(total)
    log_sum[unseen] = np.inf
    return y, log_sum


@variant("10.2", replaces="tiled_attention")
def joined(q, k, v, mask=None, causal=False, block=(32, 32), traffic=None):
    """Loops over whole numbers, and tiles of the result that are joined at the end."""
    if min(block) < 1:
        raise ValueError(f"no tile of {block}")
    counter = traffic or Traffic()
    shape, results = (*q.shape[:-1], k.shape[-2]), []
    for first in range(0, shape[-2], block[0]):
        rows = slice(first, min(shape[-2], first + block[0]))
        tile = counter.load(q[..., rows, :])
        nothing = np.zeros_like(tile[..., :1])
        seen = (nothing - np.inf, nothing, np.zeros_like(tile))
        for start in range(0, shape[-1], block[1]):
            columns = slice(start, min(shape[-1], start + block[1]))
            look = tile_mask(rows, columns, shape, mask, causal)
            if look.any():
                keys, values = (counter.load(each[..., columns, :]) for each in (k, v))
                scores = np.einsum("...tk,...sk->...ts", tile, keys) / math.sqrt(q.shape[-1])
                scores[~np.broadcast_to(look, scores.shape)] = -np.inf
                seen = merge_block(*seen, scores, values)
        results.append([counter.store(each) for each in finish_rows(*seen)])
    y, log_sum = (np.concatenate(each, axis=-2) for each in zip(*results, strict=True))
    return y, (q, k, v, y, log_sum, mask, causal, block)


@variant("10.3", replaces="tiled_attention_backward")
def with_the_gradients_in_lists(dy, cache, traffic=None):
    """Gradients of keys and values are joined at the end, D is kept in a list of tiles."""
    q, k, v, y, log_sum, mask, causal, block = cache
    counter = traffic or Traffic()
    shape, rate = (*q.shape[:-1], k.shape[-2]), q.shape[-1] ** -0.5
    cuts = [slice(i, min(i + block[0], shape[-2])) for i in range(0, shape[-2], block[0])]
    shares = []
    for rows in cuts:
        product = np.einsum("...k,...k->...", *(counter.load(e[..., rows, :]) for e in (dy, y)))
        shares.append(counter.store(product[..., None]))
    dq, found = counter.store(q - q), []
    for start in range(0, shape[-1], block[1]):
        columns = slice(start, min(start + block[1], shape[-1]))
        keys, values = counter.load(k[..., columns, :]), counter.load(v[..., columns, :])
        dkeys, dvalues = keys * 0, values * 0
        for share, rows in zip(shares, cuts, strict=True):
            look = tile_mask(rows, columns, shape, mask, causal)
            if look.any():
                tile, slope = counter.load(q[..., rows, :]), counter.load(dy[..., rows, :])
                raw = tile @ np.swapaxes(keys, -1, -2) * rate - counter.load(log_sum[..., rows, :])
                weights = np.exp(np.where(look, raw, -np.inf))
                change = slope @ np.swapaxes(values, -1, -2) - counter.load(share)
                dscores = weights * change * rate
                dvalues = dvalues + np.einsum("...ts,...tk->...sk", weights, slope)
                dkeys = dkeys + np.einsum("...ts,...tk->...sk", dscores, tile)
                dq[..., rows, :] = counter.store(counter.load(dq[..., rows, :]) + dscores @ keys)
        found.append((counter.store(dkeys), counter.store(dvalues)))
    return [dq, *(np.concatenate(each, axis=-2) for each in zip(*found, strict=True))]


@variant("10.4", replaces="unpad")
def counted(mask):
    """Counted in Python, token by token; the longest is an integer of NumPy."""
    places, ends, positions, lengths = [], [0], [], [0]
    for b, row in enumerate(mask.tolist()):
        real = [t for t, is_real in enumerate(row) if is_real]
        places += [b * len(row) + t for t in real]
        positions += range(len(real))
        ends.append(len(places))
        lengths.append(len(real))
    layout = Packed(
        cu_seqlens=torch.tensor(ends, dtype=torch.int32),
        max_seqlen=np.max(lengths),
        positions=torch.tensor(positions, dtype=torch.int64),
    )
    return torch.tensor(places, dtype=torch.int64), layout
