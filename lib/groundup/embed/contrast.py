"""Contrastive training of a sentence encoder, in one process or in many.

torchrun --nproc_per_node 2 -m groundup.embed.contrast contrast.json
"""

import copy
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from groundup.data.notes import Notice, warn
from groundup.data.pairs import distinct, load_pairs
from groundup.data.strings import check_texts
from groundup.data.texts import read_documents, read_json_file
from groundup.embed.adapter_files import has_adapters
from groundup.embed.adapters import LoraSettings, add_lora, merge_lora
from groundup.embed.batches import PairBatches
from groundup.embed.encoder import SentenceEncoder
from groundup.embed.gather import gather, offset
from groundup.embed.losses import info_nce
from groundup.lab.errors import GroundUpError, UserError
from groundup.lab.files import write_json
from groundup.lab.fingerprint import digest
from groundup.lab.ranges import require_positive, require_share, require_whole
from groundup.train.loop import LoopConfig, Step, fit


@dataclass(frozen=True)
class ContrastConfig:
    """One contrastive run.

    Attributes:
        model: directory of the encoder to start from.
        pairs: a table, a folder of tables or a data set of the Hub, as
            :func:`groundup.data.texts.read_pairs` takes them; such as a JSON list of
            [query, document].
        output: directory for the trained encoder; its record lies beside it as .json.
        loop: how to train.
        batch_size: pairs a step over all processes, each of which takes an equal share.
        temperature: of InfoNCE.
        query_length: tokens read of a query.
        document_length: tokens read of a document.
        neighbours: share of a batch drawn as runs of neighbouring pairs in the file. Neighbours
            come from one module, so they are harder negatives than a random draw.
        columns: the two of ``pairs`` that make a pair, see there.
        encoding: of files of ``pairs`` and ``texts`` that are not UTF-8, see there.
        texts: texts for ``cloze``, as :func:`groundup.data.texts.read_documents` takes them. None:
            the documents of the pairs.
        cloze: share of the pairs that are replaced by a passage of a text and the rest of that
            text (the inverse cloze task, Lee et al., 2019, arXiv 1906.00300). Fewer are where the
            batch has used up the texts: no text is in a batch twice.
        lora: adapters on a frozen encoder. None: every weight is trained.
        merge: add the adapters to the weights before saving. Otherwise they are saved as PEFT's
            adapters, which need the directory ``model``.
        seed: of the batches.

    Raises:
        ValueError: a value that cannot be, with its name and what is allowed.
    """

    model: str
    pairs: str
    output: str
    loop: LoopConfig
    batch_size: int = 256
    temperature: float = 0.05
    query_length: int = 32
    document_length: int = 96
    neighbours: float = 0.0
    columns: tuple[str, str] | None = None
    encoding: str | None = None
    texts: str | None = None
    cloze: float = 0.0
    lora: LoraSettings | None = None
    merge: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        require_whole(
            batch_size=self.batch_size,
            query_length=self.query_length,
            document_length=self.document_length,
        )
        require_positive(temperature=self.temperature)
        require_share(neighbours=self.neighbours, cloze=self.cloze)
        require_whole(0, seed=self.seed)


@dataclass
class Contrast:
    """The objective: each query finds its document among the batch's, and the other way round.

    No two pairs of a batch, over all processes, share a text: the second would be a false negative
    of the first.

    Attributes:
        pairs: (query, document) texts.
        texts: what ``config.cloze`` takes its passages from.
        encoder: its tokenizer cuts the texts.
        config: batch size, lengths, temperature.
        collect: brings in the rows of the other processes.
    """

    pairs: list[tuple[str, str]]
    encoder: SentenceEncoder
    config: ContrastConfig
    texts: list[str] = field(default_factory=list)
    collect: Callable[[Tensor], Tensor] = gather
    coupled: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        for side, name in enumerate(("queries", "documents")):
            list(check_texts((pair[side] for pair in self.pairs), name))
        texts = list(check_texts(self.texts))
        config = self.config
        self._batches = PairBatches(
            self.pairs, texts, config.batch_size, config.neighbours, config.cloze, config.seed
        )

    def rows(self, index: int) -> np.ndarray:
        """The pairs of global batch ``index``, a seeded function of the position."""
        return np.array(self._batches.rows(index))

    def batch(self, index: int, rank: int, processes: int) -> tuple[dict[str, Tensor], ...]:
        """This process's share of batch ``index``: tokenized queries and documents.

        Raises:
            UserError: the processes can't have equal shares, which :func:`gather` needs.
        """
        if self.config.batch_size % processes:
            raise UserError(
                f"{processes} processes cannot share a batch of {self.config.batch_size} equally"
            )
        pairs = self._batches.batch(index)
        share = len(pairs) // processes
        queries, documents = zip(*pairs[rank * share : (rank + 1) * share], strict=True)
        return (
            self.encoder.tokenize(queries, self.config.query_length),
            self.encoder.tokenize(documents, self.config.document_length),
        )

    def description(self) -> dict[str, Any]:
        """What the batches depend on, see :class:`~groundup.train.loop.Described`."""
        names = ("batch_size", "query_length", "document_length", "neighbours", "cloze", "seed")
        return {
            **{name: getattr(self.config, name) for name in names},
            "temperature": self.config.temperature,
            "pairs": len(self.pairs),
            "content": digest([self.pairs, self._batches.texts if self.config.cloze else []]),
        }

    def count(self, batch: tuple[dict[str, Tensor], ...]) -> int:
        """The pairs of this process."""
        return len(batch[0]["input_ids"])

    def loss(self, model: nn.Module, batch: tuple[dict[str, Tensor], ...]) -> Tensor:
        """InfoNCE in both directions, averaged, summed over this process's pairs."""
        device = next(model.parameters()).device
        moved = [{name: value.to(device) for name, value in part.items()} for part in batch]
        queries, documents = model(*moved)
        all_queries, all_documents = self.collect(queries), self.collect(documents)
        first = offset(len(queries)) if len(all_queries) > len(queries) else 0
        forward = info_nce(queries, all_documents, self.config.temperature, first)
        back = info_nce(documents, all_queries, self.config.temperature, first)
        return (forward + back) / 2 * len(queries)


def gradient_error(encoder: SentenceEncoder, objective: Contrast, rows: int = 64) -> float:
    """How far the distributed gradient is from the one-process gradient of the full batch.

    Both are computed on a float64 copy for the first ``rows`` pairs of the first batch: once by
    all processes through DistributedDataParallel and :func:`gather`, once by this process alone.

    With several processes the last rows are left out where they can't share them equally.

    Returns:
        The relative error by norm over all trained parameters; rounding gives about 1e-15.
    """
    many = _grouped()
    processes = torch.distributed.get_world_size() if many else 1
    rows = min(rows, objective.config.batch_size) // processes * processes
    small = replace(
        objective,
        pairs=[objective.pairs[i] for i in objective.rows(0)[:rows]],
        config=replace(objective.config, batch_size=rows, neighbours=0.0),
    )
    alone = replace(small, collect=lambda own: own)

    def gradient(objective: Contrast, rank: int, processes: int, distributed: bool) -> Tensor:
        device = PartialState().device if many else next(encoder.parameters()).device
        model: nn.Module = copy.deepcopy(encoder).to(device).double().eval()
        wrapped = DistributedDataParallel(model) if distributed else model
        batch = objective.batch(0, rank, processes)
        (objective.loss(wrapped, batch) / objective.count(batch)).backward()
        grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
        return torch.cat(grads)

    ours = gradient(small, _rank(), processes, many)
    full = gradient(alone, 0, 1, False)
    return float((ours - full).norm() / full.norm())


def train(
    config: ContrastConfig,
    on_step: Callable[[Step], None] | None = None,
    notice: Notice = warn,
) -> dict[str, float]:
    """Train and save an encoder; every process of a group calls this with the same config.

    Args:
        config: of the run.
        on_step: told of each step.
        notice: told in a line what of the pairs or texts was left out when they were read.

    Returns:
        gradient_error (see the function), pairs, repeated_pairs (left out, because a text of them
        is in another pair), steps, parameters trained and in all, seconds.

    Raises:
        UserError: the model or the pairs can't be read, or there are too few.
        WorkError: the loss, the gradient or the weights are no longer finite. Nothing is saved.
    """
    encoder = SentenceEncoder.load(Path(config.model))
    torch.manual_seed(config.seed)  # adapters begin alike in every process
    if config.lora:
        add_lora(encoder, config.lora)
    read = load_pairs(config.pairs, config.columns, encoding=config.encoding, notice=notice)
    pairs = distinct(read)
    texts = [document for _, document in pairs]
    if config.texts is not None:
        texts = read_documents(config.texts, encoding=config.encoding, notice=notice)
    objective = Contrast(pairs, encoder, config, texts)
    _start_group()
    gradient = gradient_error(encoder, objective)
    seconds = [0.0]

    def note(step: Step) -> None:
        seconds[0] = step.seconds
        if on_step:
            on_step(step)

    trained = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    steps = fit(encoder, objective, config.loop, note)
    if config.merge and has_adapters(encoder.backbone):
        merge_lora(encoder)
    result = {
        "gradient_error": gradient,
        "pairs": float(len(pairs)),
        "repeated_pairs": float(len(read) - len(pairs)),
        "steps": float(steps),
        "trained": float(trained),
        "parameters": float(sum(p.numel() for p in encoder.parameters())),
        "processes": float(torch.distributed.get_world_size() if _grouped() else 1),
        "seconds": seconds[0],
    }
    if _rank() == 0:
        encoder.save(Path(config.output))
        write_json(Path(config.output).with_suffix(".json"), result)
    if _grouped():
        torch.distributed.barrier()
    return result


def save_config(config: ContrastConfig, path: Path) -> None:
    """Write a configuration for :func:`main` to read."""
    write_json(path, asdict(config))


def load_config(path: Path) -> ContrastConfig:
    """Read what :func:`save_config` wrote.

    Raises:
        UserError: the file is not such a configuration.
    """
    content: Any = read_json_file(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON configuration: it holds no object")
    try:
        loop = LoopConfig(**_tuples(content.pop("loop")))
        lora = content.pop("lora", None)
        settings = LoraSettings(**_tuples(lora)) if lora else None
        return ContrastConfig(**_tuples(content), loop=loop, lora=settings)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def _grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _rank() -> int:
    return torch.distributed.get_rank() if _grouped() else 0


def _start_group() -> None:
    """Join the group torchrun announced, if there is one."""
    PartialState(cpu=not torch.cuda.is_available())


def main() -> int:
    """Entry of each process: one line of JSON a step from process 0, for whoever watches."""
    from groundup.lab.quiet import quiet_libraries
    from groundup.train.launch import say

    quiet_libraries()
    first = int(os.environ.get("RANK", "0")) == 0

    def note(message: str) -> None:
        print(f"note: {message}", file=sys.stderr)

    if len(sys.argv) != 2:
        print("usage: python -m groundup.embed.contrast CONFIG.json", file=sys.stderr)
        return 2
    try:
        config = load_config(Path(sys.argv[1]))
        result = train(config, lambda step: say(vars(step)), note if first else lambda _: None)
    except GroundUpError as error:
        if first:
            print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        if _grouped():
            torch.distributed.destroy_process_group()
    if first:
        say(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
