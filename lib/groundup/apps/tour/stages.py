"""The rungs of the tour, bottom to top."""

from typing import Any

import numpy as np
import torch

from groundup.apps.digits.one_digit import train_digits
from groundup.apps.tour.plan import Contrastive
from groundup.apps.tour.tour import Results, Stage, Tour
from groundup.data.corpus import read_packages
from groundup.data.tokenizer import train_tokenizer
from groundup.embed.encoder import SentenceEncoder, inverse_document_frequency
from groundup.embed.objective import ContrastiveConfig
from groundup.embed.retrieval import RetrievalResult, RetrievalTask, bm25, evaluate_retrieval
from groundup.embed.search import SearchIndex
from groundup.embed.train import save_config
from groundup.lab.console import ProgressBar
from groundup.lab.errors import WorkError
from groundup.lab.files import read_json, write_json
from groundup.neobert.configuration import NeoBERTConfig
from groundup.neobert.losses import IGNORE
from groundup.neobert.mlm import (
    MaskedText,
    init_bias_from_unigrams,
    log_frequencies,
    masked_loss,
    tokenize_rows,
    unigram_loss,
)
from groundup.neobert.modeling import NeoBERTForMaskedLM, NeoBERTModel
from groundup.parity.numpy_torch import LIMIT, encoder_parity, layer_parity
from groundup.scratch import checkpoint
from groundup.scratch.tasks.digits import make_splits
from groundup.scratch.trainer import Step as DigitStep
from groundup.scratch.trainer import TrainConfig
from groundup.train.config import LoopConfig
from groundup.train.launch import torchrun
from groundup.train.loop import StepMetrics, fit


def _digits(tour: Tour, bar: ProgressBar) -> Results:
    config = TrainConfig(steps=tour.plan.digit_steps, seed=tour.seed)

    def show(step: DigitStep) -> None:
        bar.update(step.step / config.steps, f"loss {step.loss:.3f}")
        if step.step % 10 == 0:
            tour.record.add(
                "digits",
                step.step,
                loss=step.loss,
                lr=step.lr,
                gradient_norm=step.gradient_norm,
            )

    _, shares = train_digits(config, tour.path("digits.safetensors"), show)
    return {"accuracy": shares["all"], **{f"accuracy_{k}": v for k, v in shares.items()}}


def _parity(tour: Tour, bar: ProgressBar) -> Results:
    model, _ = checkpoint.load(tour.path("digits.safetensors"))
    test = make_splits(np.random.default_rng(tour.seed)).test.take(np.arange(64))
    mask = test.mask.copy()
    mask[::3, -1] = False  # some padding, so that the mask is compared too
    rungs = encoder_parity(model, test.ids, mask, test.answers)
    bar.update(0.5)
    rungs += layer_parity(np.random.default_rng(tour.seed))
    wrong = [rung for rung in rungs if not rung.equal]
    if wrong:
        raise WorkError(f"{wrong[0].pair}, {wrong[0].tensor}: error {wrong[0].error:.1e}")
    table = [[rung.pair, rung.tensor, rung.error] for rung in rungs]
    return {"tensors": len(rungs), "largest": max(r.error for r in rungs), "table": table}


def _corpus(tour: Tour, bar: ProgressBar) -> Results:
    def show(done: int, total: int) -> None:
        bar.update(0.8 * done / total, f"{done} of {total} files")

    tour.corpus = read_packages(tour.plan.packages, progress=show)
    bar.update(0.8, "tokenizer")
    train, _, test = tour.splits
    tokenizer = train_tokenizer(train.text(), vocab_size=tour.plan.vocabulary)
    tokenizer.save_pretrained(tour.path("tokenizer"))
    bar.update(0.9, "pairs")
    weak, strong = train.weak_pairs(), train.strong_pairs()
    write_json(tour.path("pairs/weak.json"), weak)
    write_json(tour.path("pairs/strong.json"), strong)
    write_json(tour.path("pairs/texts.json"), [body for _, body in strong])
    return {
        "entries": len(tour.corpus.entries),
        "characters": sum(len(e.summary) + len(e.body) for e in tour.corpus.entries),
        "weak_pairs": len(weak),
        "strong_pairs": len(strong),
        "test_pairs": len(test.strong_pairs()),
        "vocabulary": len(tokenizer),
        "skipped_files": tour.corpus.skipped,
        "fingerprint": tour.corpus.fingerprint,
        "versions": tour.corpus.versions,
    }


def _task(tour: Tour) -> RetrievalTask:
    return RetrievalTask.from_pairs(tour.splits.test.strong_pairs())


def _scores(result: RetrievalResult) -> Results:
    ranks: list[float] = result.per_query.tolist()
    return {"ndcg_at_10": result.ndcg, "recall_at_10": result.recall, "per_query": ranks}


def _bm25(tour: Tour, bar: ProgressBar) -> Results:
    return _scores(bm25(_task(tour)))


def _evaluated(tour: Tour, bar: ProgressBar, name: str, result: Results) -> Results:
    """Add a saved encoder's retrieval scores to a stage's result."""
    bar.update(0.95, "evaluation")
    encoder = SentenceEncoder.load(tour.path(name))
    return result | _scores(evaluate_retrieval(encoder, _task(tour)))


def _tokenizer(tour: Tour) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(tour.path("tokenizer"))


def _as_sentence_encoder(tour: Tour, backbone: NeoBERTModel) -> SentenceEncoder:
    """A mean of token vectors, each weighted by how rare its token is."""
    tokenizer = _tokenizer(tour)
    texts = [text for entry in tour.splits.train.entries for text in (entry.summary, entry.body)]
    weights = inverse_document_frequency(tokenizer, texts, len(tokenizer))
    length = tour.plan.evaluation_length
    return SentenceEncoder(backbone, tokenizer, "weighted", weights, length)


def fresh_encoder(tour: Tour, name: str, layers: int | None = None) -> None:
    """Save an untrained encoder under a name of the run; ``layers`` overrides the plan's."""
    tokenizer = _tokenizer(tour)
    fields = tour.plan.model if layers is None else tour.plan.model | {"num_hidden_layers": layers}
    torch.manual_seed(tour.seed)
    backbone = NeoBERTModel(NeoBERTConfig(vocab_size=len(tokenizer), **fields))
    _as_sentence_encoder(tour, backbone).save(tour.path(name))


def pretrain(tour: Tour, bar: ProgressBar, name: str, loop: LoopConfig) -> Results:
    """Masked pretraining of the plan's model; its encoder is saved under ``name``."""
    plan, tokenizer = tour.plan, _tokenizer(tour)
    config = NeoBERTConfig(vocab_size=len(tokenizer), **plan.model)
    torch.manual_seed(tour.seed)
    model = NeoBERTForMaskedLM(config)
    train, development, _ = tour.splits
    texts = train.text()
    order = np.random.default_rng(tour.seed).permutation(len(texts))[: plan.masked_texts]
    shortest, longest = plan.masked_lengths
    rows = tokenize_rows(tokenizer, [texts[i] for i in order], longest, shortest)
    held_out = tokenize_rows(tokenizer, development.text(), longest, shortest)
    data = MaskedText(rows, tokenizer, plan.masked_batch, seed=tour.seed)
    frequencies = log_frequencies(rows, len(tokenizer))
    assert isinstance(model.decoder, torch.nn.Linear)
    init_bias_from_unigrams(model.decoder, frequencies)
    with torch.no_grad():
        # What the model says of a hidden token then comes from its context alone, and the blocks
        # need not outshout the other tokens' embeddings to say it.
        model.model.encoder.weight[tokenizer.mask_token_id] = 0
    steps = fit(model, data, loop, _watch(tour, bar, name))
    bar.update(0.95, "held-out loss")
    unseen = MaskedText(held_out, tokenizer, plan.masked_batch, seed=tour.seed)
    loss, labels = masked_loss(model, unseen, min(40, -(-len(held_out) // plan.masked_batch)))
    with torch.no_grad():
        # Predicting hidden words makes the blocks loud, and a mean of the words' vectors is then
        # drowned. Handed on more quietly, they cost nothing and can still be used.
        for layer in model.model.transformer_encoder:
            layer.wo.weight *= plan.handover
            layer.ffn.w3.weight *= plan.handover
    _as_sentence_encoder(tour, model.model).save(tour.path(name))
    result = {
        "steps": steps,
        "held_out_loss": loss,
        "unigram_loss": unigram_loss(frequencies, labels),
        "held_out_tokens": int((labels != IGNORE).sum()),
        "parameters": sum(p.numel() for p in model.parameters()),
        "encoder_parameters": sum(p.numel() for p in model.model.parameters()),
    }
    return _evaluated(tour, bar, name, result)


def contrast(
    tour: Tour, bar: ProgressBar, name: str, start: str, pairs: str, training: Contrastive
) -> Results:
    """Train the encoder saved as ``start`` on the run's pairs and save it as ``name``."""
    config = ContrastiveConfig(
        model=str(tour.path(start)),
        pairs=str(tour.path(f"pairs/{pairs}.json")),
        texts=str(tour.path("pairs/texts.json")),
        output=str(tour.path(name)),
        **vars(training),
        seed=tour.seed,
    )
    save_config(config, tour.path(f"{name}-config.json"))
    watch = _watch(tour, bar, name)

    def hear(message: dict[str, Any]) -> None:
        if "loss" in message:
            watch(StepMetrics(**message))

    arguments = [str(tour.path(f"{name}-config.json"))]
    torchrun("groundup.embed.train", arguments, tour.plan.processes, hear)
    result: Results = read_json(tour.path(f"{name}.json"))
    return _evaluated(tour, bar, name, result)


def _masked(tour: Tour, bar: ProgressBar) -> Results:
    return pretrain(tour, bar, "masked", tour.plan.masked)


def _weak(tour: Tour, bar: ProgressBar) -> Results:
    return contrast(tour, bar, "weak", "masked", "weak", tour.plan.weak)


def _strong(tour: Tour, bar: ProgressBar) -> Results:
    return contrast(tour, bar, "strong", "weak", "strong", tour.plan.strong)


def _bag(tour: Tour, bar: ProgressBar) -> Results:
    fresh_encoder(tour, "bag-start", layers=0)
    before = _evaluated(tour, bar, "bag-start", {})
    result = contrast(tour, bar, "bag", "bag-start", "strong", tour.plan.bag)
    return result | {"untrained": {k: before[k] for k in ("ndcg_at_10", "recall_at_10")}}


def _watch(tour: Tour, bar: ProgressBar, stage: str) -> Any:
    def show(step: StepMetrics) -> None:
        bar.update(0.95 * step.done, f"step {step.step}, loss {step.loss:.2f}")
        tour.record.add(
            stage,
            step.step,
            loss=step.loss,
            lr=step.lr,
            seconds=step.seconds,
            gradient_norm=step.gradient_norm,
        )

    return show


def _search(tour: Tour, bar: ProgressBar) -> Results:
    encoder = SentenceEncoder.load(tour.path("strong"))
    entries = [entry for entry in tour.corpus.entries if entry.public]
    index = SearchIndex.build(
        encoder, entries, progress=lambda done, total: bar.update(done / total)
    )
    index.save(tour.path("index"))
    return {"documents": len(entries)}


def _say_contrast(result: Results) -> str:
    share = result["trained"] / result["parameters"]
    return (
        f"nDCG@10 {result['ndcg_at_10']:.3f}, recall@10 {result['recall_at_10']:.3f}; "
        f"{result['steps']:.0f} steps, {share:.0%} of the weights trained; gradient of "
        f"{result['processes']:.0f} processes equals the full batch's to "
        f"{result['gradient_error']:.0e}"
    )


STAGES = (
    Stage(
        "digits",
        "A transformer in NumPy, every gradient by hand, reads digits",
        _digits,
        lambda r: f"right on {r['accuracy']:.1%} of inputs never seen in training",
    ),
    Stage(
        "parity",
        "The same weights in PyTorch, and a NeoBERT layer against its NumPy twin",
        _parity,
        lambda r: (
            f"{r['tensors']} outputs and gradients agree to {r['largest']:.0e} "
            f"(float64, limit {LIMIT:.0e})"
        ),
    ),
    Stage(
        "corpus",
        "English from your own packages, and a byte-level BPE tokenizer",
        _corpus,
        lambda r: (
            f"{r['characters'] / 1e6:.1f}M characters, {r['vocabulary']:,} tokens; "
            f"{r['weak_pairs']:,} weak and {r['strong_pairs']:,} strong pairs, "
            f"{r['test_pairs']:,} questions on unseen modules"
            + (f"; {r['skipped_files']} files can't be read" if r.get("skipped_files") else "")
        ),
    ),
    Stage(
        "bm25",
        "BM25, the figure to beat",
        _bm25,
        lambda r: f"nDCG@10 {r['ndcg_at_10']:.3f}, recall@10 {r['recall_at_10']:.3f}",
    ),
    Stage(
        "masked",
        "Masked pretraining of a small NeoBERT",
        _masked,
        lambda r: (
            f"held-out loss {r['held_out_loss']:.2f} nats; frequencies alone "
            f"{r['unigram_loss']:.2f}; nDCG@10 {r['ndcg_at_10']:.3f}, its blocks turned down"
        ),
    ),
    Stage(
        "weak",
        "Contrastive training, weak pairs (name → summary), all weights, two processes",
        _weak,
        _say_contrast,
    ),
    Stage(
        "strong",
        "LoRA, strong pairs (summary → body), two processes",
        _strong,
        _say_contrast,
    ),
    Stage(
        "bag",
        "For comparison: a bag of embeddings, no layer at all, strong pairs",
        _bag,
        _say_contrast,
    ),
    Stage(
        "search",
        "An index of your documentation",
        _search,
        lambda r: f"{r['documents']:,} symbols",
    ),
)
