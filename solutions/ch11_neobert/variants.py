"""Right versions of the exercises of chapter 11 in other styles, as each docstring says."""

import numpy as np
import torch

from groundup.course.exercises.mutants import variant


@variant("11.1", replaces="split_qkv")
def sliced_head_by_head(qkv, heads):
    """A loop over the heads, slices and stack; a list for a tuple."""
    size, rest = divmod(qkv.shape[-1], 3 * heads)
    if rest:
        raise ValueError("width")
    found = [[], [], []]
    for start in range(0, qkv.shape[-1], size):
        found[start // size % 3].append(qkv[:, :, start : start + size])
    return [torch.stack(each, dim=1) for each in found]


@variant("11.2", replaces="rotate_pairs")
def complex_numbers(x, cos, sin):
    """A pair is a complex number, and the turn is a product."""
    precise = torch.promote_types(torch.promote_types(x.dtype, cos.dtype), torch.float32)
    pairs = torch.view_as_complex(x.to(precise).unflatten(-1, (-1, 2)).contiguous())
    turned = pairs * torch.complex(cos.to(precise), sin.to(precise))
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


@variant("11.3", replaces="forward")
def one_path(self, x, rotation, layout=None, need_weights=False):
    """One path for both orders, with norms that do nothing; keywords, and a list for a tuple."""

    def same(t):
        return t

    norms, none = (self.attention_norm, self.ffn_norm), (same, same)
    post = self.config.norm_position == "post"
    before, after = (none, norms) if post else (norms, none)
    asked = {"layout": layout, "need_weights": need_weights}
    mixed, weights = self.self_attention(before[0](x), rotation, **asked)
    stream = after[0](mixed + x)
    return [after[1](self.ffn(before[1](stream)) + stream), weights]


@variant("11.4", replaces="count_parameters")
def integers_of_numpy(config):
    """Integers of NumPy, and truth values as factors."""
    width, vocabulary = np.int64(config.hidden_size), np.int64(config.vocab_size)
    heads = config.num_attention_heads * config.head_dim
    norm = width * {"rms_norm": 1, "layer_norm": 2}[config.norm_type]
    found = {"embedding": vocabulary * width, "qkv": 3 * heads * width, "wo": heads * width}
    found["positions"] = width * config.max_length * (config.position_embedding_type == "absolute")
    wide = {"swiglu": 3 * config.swiglu_size, "gelu": 2 * config.intermediate_size}
    found["ffn"], found["norms"] = width * wide[config.hidden_act], 2 * norm
    found["layer"] = sum(found[name] for name in ("qkv", "wo", "ffn", "norms"))
    found["layers"] = config.num_hidden_layers * found["layer"]
    found["final_norm"] = norm * (config.norm_position == "pre")
    outer = ("embedding", "positions", "layers", "final_norm")
    found["encoder"] = sum(found[name] for name in outer)
    found["decoder"] = (width + 1) * vocabulary
    return found | {"total": found["encoder"] + found["decoder"]}
