"""What the text model writes: sampled or greedy text as it comes, or the likeliest as a whole."""

import codecs
import sys
from pathlib import Path

import numpy as np

from groundup.apps.text import text_model
from groundup.data.lossless_tokenizer import LosslessTokenizer
from groundup.lab.console import console
from groundup.lab.errors import UserError
from groundup.scratch.decoder import Decoder
from groundup.scratch.generate import beam_search
from groundup.scratch.sampling import Choose, greedy, sampler

_TOKENS = 200


def write(
    prompt: str,
    path: Path | None = None,
    count: int | None = None,
    *,
    likeliest: bool = False,
    beam: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> None:
    """Write on from a prompt; sampled text appears as it is written.

    Args:
        prompt: the beginning, which is repeated.
        path: of the model. None: this folder's.
        count: tokens to write. None: 200, or with a beam as many as the context has room for.
        likeliest: always take the likeliest token.
        beam: look for the likeliest text as a whole, with so many beginnings.
        temperature: of the sampling. None: 0.8.
        top_k: see :func:`~groundup.scratch.sampling.sampler`.
        top_p: see there.
        seed: of the choices. None: 0.

    Raises:
        UserError: two ways to choose are asked for, a number is out of range, there is no model,
            or the prompt can't be read.
    """
    if likeliest and beam is not None:
        raise UserError("--greedy and --beam are two ways to choose: give one")
    certain = likeliest or beam is not None
    if certain and any(value is not None for value in (temperature, top_k, top_p, seed)):
        raise UserError(
            "--temperature, --top-k, --top-p and --seed are for sampling: leave out --greedy and "
            "--beam"
        )
    try:
        rng = np.random.default_rng(seed or 0)
        choose = sampler(rng, 0.8 if temperature is None else temperature, top_k, top_p)
    except ValueError as error:
        raise UserError(str(error)) from error
    if path is None and not text_model.TASK.path.exists():
        raise UserError("there is no text model yet: groundup text train makes one in minutes")
    model, known = text_model.load(path)
    ids = text_model.prompt_ids(known, prompt)
    if beam is not None:
        room = model.config.max_length - len(ids) + 1
        try:
            best = beam_search(model, [ids], beam, count or max(room, 1))[0][0]
        except ValueError as error:
            raise UserError(str(error)) from error
        print(prompt + known.decode(np.array(best.ids)))
        console.print(f"(log probability {best.log_probability:.2f}, {len(best.ids)} tokens)")
        return
    _stream(model, known, prompt, ids, greedy if likeliest else choose, count or _TOKENS)


def _stream(
    model: Decoder,
    known: LosslessTokenizer,
    prompt: str,
    ids: list[int],
    choose: Choose,
    count: int,
) -> None:
    # A character may be spread over tokens: it is printed when it is whole.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    sys.stdout.write(prompt)
    for token in text_model.stream(model, ids, choose, count):
        sys.stdout.write(decoder.decode(known.pieces[token]))
        sys.stdout.flush()
    print(decoder.decode(b"", final=True))
