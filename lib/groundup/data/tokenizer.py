"""A tokenizer trained on any text: byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909).

Byte-level, so that no text is unknown. Text is cut into words before any merge: at spaces, around
punctuation and digits, and inside names at an underscore or a capital (``join_paths``,
``joinPaths``). Each word then gets a leading space. So "join" is the same token in
``os.path.join``, "(join" and "to join", where GPT-2's cut gives one token for " join" and another
for "join". The price is the spelling: case, underscores and the spaces between words are not kept.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

from groundup.data.strings import check_texts
from groundup.lab.ranges import require_whole

PAD, CLS, SEP, MASK = SPECIAL_TOKENS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")

_CAMEL_CASE = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
_WORD = r"\p{L}[\p{L}\p{M}]*|\p{N}{1,3}|[^\s\p{L}\p{N}_]"


def train_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 16_384,
    max_length: int = 512,
    min_frequency: int = 2,
) -> PreTrainedTokenizerFast:
    """Train a tokenizer; the same texts give the same tokenizer.

    Args:
        texts: any English.
        vocab_size: tokens in all: 4 special ones, 256 bytes and the merges. Fewer when the texts
            run out of pairs that occur ``min_frequency`` times.
        max_length: tokens a model may take, ``[CLS]`` and ``[SEP]`` included.
        min_frequency: how often a pair must occur to be merged.

    Returns:
        A tokenizer that wraps text as ``[CLS] text [SEP]``; ``save_pretrained`` writes a directory
        that transformers loads.

    Raises:
        ValueError: ``vocab_size`` has no room for the bytes and the special tokens, one of
            ``texts`` is not a string, or ``max_length`` or ``min_frequency`` is below 1.
    """
    require_whole(max_length=max_length, min_frequency=min_frequency)
    smallest = 256 + len(SPECIAL_TOKENS)
    if vocab_size < smallest:
        raise ValueError(f"vocab_size must be at least {smallest}: got {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(_CAMEL_CASE), " "),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(check_texts(texts), trainer)
    specials = [(token, tokenizer.token_to_id(token)) for token in (CLS, SEP)]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B {SEP}", special_tokens=specials
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        pad_token=PAD,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
    )
