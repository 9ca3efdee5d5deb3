"""PyTorch: a training step and its threads, a NeoBERT on the CPU and on a GPU, two processes."""

import math
import shutil
import time
from typing import TYPE_CHECKING, Any

from groundup.doctor.machine_probe import Judgement, Numbers, ProbeVerdict
from groundup.doctor.timing import milliseconds, processor_milliseconds

if TYPE_CHECKING:
    import torch

GPU_ERROR = 1e-2  # of the largest gradient; TensorFloat-32 keeps 10 bits
_AGAIN = "pip install --force-reinstall -c constraints.txt torch"


def measure_import() -> Numbers:
    """Import PyTorch."""
    begin = time.perf_counter()
    import torch

    return {"seconds": time.perf_counter() - begin, "version": torch.__version__}


def judge_import(numbers: Numbers) -> Judgement:
    """It imports."""
    measured = f"{numbers['version']}, imported in {numbers['seconds']:.1f} s"
    return Judgement(ProbeVerdict.OK, measured)


def measure_training_step() -> Numbers:
    """Training steps of a two-layer encoder: 16 sequences of 64 tokens, 128 wide.

    The estimates use the processor's time on one thread. With more, by the clock, PyTorch's threads
    wait for the slowest of them at every operation, and a core that another program holds costs far
    more than its share.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True)
        model = nn.TransformerEncoder(layer, 2)
        x = torch.randn(16, 64, 128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    threads = torch.get_num_threads()
    as_set = milliseconds(step, least=1)
    torch.set_num_threads(1)
    try:
        one, processor = milliseconds(step, least=1), processor_milliseconds(step)
    finally:
        torch.set_num_threads(threads)
    return {"milliseconds": processor, "threads": threads, "one_thread": one, "as_set": as_set}


def judge_training_step(numbers: Numbers) -> Judgement:
    """PyTorch's own number of threads may bring little; it must not cost much."""
    one, as_set = numbers["one_thread"], numbers["as_set"]
    measured = f"{one:.1f} ms on one thread, {as_set:.1f} ms as set (threads: {numbers['threads']})"
    if as_set > 1.5 * one:
        mend = "its threads wait for each other: end other programs, or export OMP_NUM_THREADS=1"
        return Judgement(ProbeVerdict.WARN, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)


def neobert_gradients(device: "torch.device") -> "tuple[float, list[torch.Tensor | None]]":
    """The loss of a tiny NeoBERT on random tokens, and the gradient of each parameter."""
    import torch

    from groundup.neobert.configuration import NeoBERTConfig
    from groundup.neobert.modeling import NeoBERTForMaskedLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = NeoBERTConfig(
            vocab_size=256,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=96,
            max_length=64,
        )
        model = NeoBERTForMaskedLM(config)
        tokens = torch.randint(1, 256, (4, 32)).to(device)
    model.to(device)  # type: ignore[arg-type]  # transformers' wrapper hides the signature
    loss = model(tokens, labels=tokens).loss
    assert loss is not None
    loss.backward()
    gradients = [each.grad for each in model.parameters()]
    return loss.item(), [None if each is None else each.cpu() for each in gradients]


def measure_neobert() -> Numbers:
    """Forward and backward through a tiny NeoBERT."""
    import torch

    loss, gradients = neobert_gradients(torch.device("cpu"))
    return {
        "loss": loss if math.isfinite(loss) else None,
        "expected": math.log(256),
        "parameters": len(gradients),
        "reached": sum(each is not None and bool(each.isfinite().all()) for each in gradients),
    }


def judge_neobert(numbers: Numbers) -> Judgement:
    """Untrained, its loss is near chance, ln V; every parameter has a finite gradient."""
    loss, expected = numbers["loss"], numbers["expected"]
    mend = f"{_AGAIN} transformers"
    if loss is None or abs(loss - expected) > 1:
        shown = "not finite" if loss is None else f"{loss:.2f}"
        return Judgement(
            ProbeVerdict.FAIL, f"loss {shown}, not about ln 256 = {expected:.2f}", mend
        )
    measured = f"{numbers['reached']} of {numbers['parameters']} gradients, loss {loss:.2f}"
    if numbers["reached"] < numbers["parameters"]:
        return Judgement(ProbeVerdict.FAIL, measured, mend)
    return Judgement(ProbeVerdict.OK, measured)


def measure_gpu() -> Numbers:
    """The gradients of the tiny NeoBERT on the GPU, if there is one, and on the CPU."""
    import torch

    driver = shutil.which("nvidia-smi") is not None
    device = torch.accelerator.current_accelerator(check_available=True)
    if device is None:
        return {"name": None, "driver": driver, "cuda": torch.version.cuda}
    cuda = device.type == "cuda"
    (loss, received), (wanted, expected) = map(neobert_gradients, (device, torch.device("cpu")))
    errors = [abs(loss - wanted) / wanted]
    for one, two in zip(received, expected, strict=True):
        assert one is not None
        assert two is not None
        errors.append(float((one - two).abs().max() / two.abs().max()))
    return {
        "name": torch.cuda.get_device_name() if cuda else device.type,
        "free": torch.cuda.mem_get_info()[0] / 1e9 if cuda else None,
        "error": max(errors) if all(map(math.isfinite, errors)) else None,
    }


def judge_gpu(numbers: Numbers) -> Judgement:
    """A GPU is not needed. One that is there has to compute what the CPU does."""
    if numbers["name"] is not None:
        free = "" if numbers["free"] is None else f", {numbers['free']:.0f} GB free"
        measured, error = f"{numbers['name']}{free}: NeoBERT's gradients ", numbers["error"]
        if error is None:
            return Judgement(ProbeVerdict.FAIL, f"{measured}are not finite", _AGAIN)
        if error > GPU_ERROR:
            return Judgement(ProbeVerdict.FAIL, f"{measured}are off by {error:.0%}", _AGAIN)
        return Judgement(ProbeVerdict.OK, f"{measured}equal the CPU's to {error:.0e}")
    if not numbers["driver"]:
        return Judgement(ProbeVerdict.ABSENT, "none; everything in the course runs without")
    if numbers["cuda"] is None:
        measured = "an NVIDIA driver is here, but this PyTorch is built for the CPU alone"
        return Judgement(
            ProbeVerdict.WARN, measured, f"on Linux, {_AGAIN}; elsewhere see pytorch.org"
        )
    measured = f"PyTorch (CUDA {numbers['cuda']}) finds no GPU, though an NVIDIA driver is here"
    mend = "run nvidia-smi: it says whether the GPU is visible and which CUDA the driver supports"
    return Judgement(ProbeVerdict.WARN, measured, mend)


def measure_processes() -> Numbers:
    """Two processes meet on gloo and sum an array."""
    from groundup.train.launch import torchrun

    said: list[dict[str, Any]] = []
    begin = time.perf_counter()
    torchrun("groundup.doctor.gloo", [], 2, said.append)
    return {
        "seconds": time.perf_counter() - begin,
        "ranks": sorted(each["rank"] for each in said),
        "wrong": sum(each["wrong"] for each in said),
        "milliseconds": max((each["milliseconds"] for each in said), default=0.0),
    }


def judge_processes(numbers: Numbers) -> Judgement:
    """Both must have answered, and every sum must be right."""
    if numbers["ranks"] != [0, 1]:
        measured = f"heard from {numbers['ranks']}, not from [0, 1]"
        return Judgement(ProbeVerdict.FAIL, measured, _AGAIN)
    if numbers["wrong"]:
        return Judgement(ProbeVerdict.FAIL, f"{numbers['wrong']} sums are wrong", _AGAIN)
    measured = f"1 MB summed in {numbers['milliseconds']:.1f} ms; start to end "
    return Judgement(ProbeVerdict.OK, f"{measured}{numbers['seconds']:.1f} s")
