"""Text generation with a causal language model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from groundup.data.strings import check_texts
from groundup.train.module_mode import evaluation_mode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def generate_text(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    *,
    seed: int | None = None,
    **settings: Any,
) -> list[str]:
    """Continue some texts, side by side, with any causal language model of transformers.

    Args:
        model: has ``generate``.
        tokenizer: its special tokens before a prompt are kept, those after it are left out:
            an end token there would say that there is nothing to add.
        prompts: at least one.
        seed: of the draws, with ``do_sample=True``; torch's own generators are left as they were.
        settings: of ``generate``: ``max_new_tokens``, ``do_sample``, ``num_beams``, ….

    Returns:
        What was written after each prompt, special tokens left out; so many texts for each prompt
        as ``num_return_sequences`` says.

    Raises:
        ValueError: there is no prompt, one is not a string, or one has no token.
    """
    rows = [_prompt(tokenizer, prompt) for prompt in check_texts(prompts, "prompts")]
    if not rows or not all(rows):
        raise ValueError(f"writing needs prompts of at least one token: got {list(prompts)}")
    longest = max(map(len, rows))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    device = model.device
    settings = {"pad_token_id": pad, **settings}
    devices = [device] if device.type == "cuda" else []
    with evaluation_mode(model), torch.random.fork_rng(devices, enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        written = model.generate(ids.to(device), attention_mask=mask.to(device), **settings)
    texts: list[str] = tokenizer.batch_decode(written[:, longest:], skip_special_tokens=True)
    return texts


def _prompt(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The ids of a text, without special tokens after it; of an empty text the first of them."""
    made = tokenizer(text, return_special_tokens_mask=True)
    ordinary = [i for i, special in enumerate(made["special_tokens_mask"]) if not special]
    ids: list[int] = made["input_ids"][: ordinary[-1] + 1 if ordinary else 1]
    return ids
