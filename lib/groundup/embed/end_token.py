"""A tokenizer that ends every text with the end token, which last-token pooling reads."""

import copy
import json

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast


def with_end_token(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A tokenizer that ends every text with its end token and pads on the right.

    Many causal tokenizers add no end token. It is added to the tokenizer itself, so that it is
    saved with it, and after cutting, so that a long text has it too. With padding on the right no
    position of a text depends on the others in its batch.

    Returns:
        The tokenizer itself where it does so already, else a changed copy.

    Raises:
        ValueError: it has neither an end nor a separator token, or is not of the tokenizers
            library, where one could be added.
    """
    ends = {
        token: id_
        for token, id_ in (
            (tokenizer.eos_token, tokenizer.eos_token_id),
            (tokenizer.sep_token, tokenizer.sep_token_id),
        )
        if isinstance(id_, int)
    }
    if not ends:
        raise ValueError("pooling 'last' needs a tokenizer with an end or separator token")
    if all(
        tokenizer(text)["input_ids"][-1:] in [[end] for end in ends.values()] for text in _TEXTS
    ):
        if tokenizer.padding_side == "right":
            return tokenizer
        padded = copy.deepcopy(tokenizer)
        padded.padding_side = "right"
        return padded
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ValueError(
            f"pooling 'last' needs a tokenizer that ends each text with {next(iter(ends))!r}; "
            f"{type(tokenizer).__name__} does not, and can't be taught to"
        )
    end, id_ = next(iter(ends.items()))
    backend = _ending(tokenizer.backend_tokenizer, end, id_)
    # A plain class: the model's own may build its post-processor again when it is loaded.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        padding_side="right",
        truncation_side=tokenizer.truncation_side,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        clean_up_tokenization_spaces=tokenizer.clean_up_tokenization_spaces,
        **tokenizer.special_tokens_map,
    )


def _ending(backend: Tokenizer, end: str, id_: int) -> Tokenizer:
    """A copy whose template ends with a token; two templates, one after the other, do not add up.

    tokenizers lets a template be written and not read, but for its JSON.
    """
    state = json.loads(backend.to_str())
    given = state["post_processor"]
    parts = given["processors"] if given and given["type"] == "Sequence" else [given] * bool(given)
    template = next((part for part in parts if part["type"] == "TemplateProcessing"), None)
    if template is None:
        texts = [{"Sequence": {"id": name, "type_id": 0}} for name in ("A", "B")]
        template = {"single": texts[:1], "pair": texts, "special_tokens": {}}
        parts.append({"type": "TemplateProcessing", **template})
    for pieces in (template["single"], template["pair"]):
        pieces.append({"SpecialToken": {"id": end, "type_id": 0}})
    template["special_tokens"][end] = {"id": end, "ids": [id_], "tokens": [end]}
    state["post_processor"] = {"type": "Sequence", "processors": parts}
    return Tokenizer.from_str(json.dumps(state))


_TEXTS = ("", "a", "a b, c.")
