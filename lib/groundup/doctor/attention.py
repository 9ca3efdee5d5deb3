"""Attention forward and backward, by each backend that PyTorch offers, beside the plain formula."""

import math
import shutil
from typing import TYPE_CHECKING, Any

from groundup.doctor.findings import Judgement, Numbers, Verdict
from groundup.doctor.yardsticks import milliseconds

if TYPE_CHECKING:
    import torch

SHAPE = (8, 4, 256, 32)  # B, H, T, K
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}  # of the largest entry; bfloat16 keeps 8 bits
_REINSTALL = "pip install --force-reinstall -c constraints.txt torch"


def compare(device: "torch.device", dtype: "torch.dtype") -> Numbers:
    """Run every backend on a device.

    Returns:
        ``dtype``, and in ``backends``, by name, the milliseconds of a forward and a backward pass,
        and the ``error``: the largest difference of output and gradients from the plain formula
        in float32, as a share of the largest entry (None: not a finite number).
    """
    import torch
    import torch.nn.functional as F
    from torch.nn.attention import SDPBackend, sdpa_kernel

    generator = torch.Generator().manual_seed(0)
    q, k, v, dy = (torch.randn(SHAPE, generator=generator).to(device, dtype) for _ in range(4))

    def passes(attend: Any, *inputs: torch.Tensor) -> list[torch.Tensor]:
        inputs = tuple(each.detach().requires_grad_() for each in inputs)
        y = attend(*inputs)
        return [y.detach(), *torch.autograd.grad(y, inputs, dy.to(y.dtype))]

    def plain(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.mT / SHAPE[-1] ** 0.5).softmax(-1) @ v

    def wait() -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize()

    expected = passes(plain, q.float(), k.float(), v.float())

    def run(attend: Any) -> Numbers:
        received = passes(attend, q, k, v)
        errors = torch.stack(
            [
                (one.float() - two).abs().max() / two.abs().max()
                for one, two in zip(received, expected, strict=True)
            ]
        )

        def work() -> None:
            passes(attend, q, k, v)
            wait()

        error = float(errors.max())
        return {
            "milliseconds": milliseconds(work, budget=0.2),
            "error": error if math.isfinite(error) else None,
        }

    backends: dict[str, Numbers] = {}
    for name, backend in SDPBackend.__members__.items():
        if name in ("ERROR", "OVERRIDEABLE"):
            continue
        try:
            with sdpa_kernel([backend]):
                backends[name.removesuffix("_ATTENTION").lower()] = run(
                    F.scaled_dot_product_attention
                )
        except RuntimeError:  # PyTorch's way to say that it has no such backend here
            continue
    backends["default"] = run(F.scaled_dot_product_attention)
    if flash := _flash_package(device):
        backends["flash-attn package"] = run(flash)
    return {"dtype": str(dtype).removeprefix("torch."), "backends": backends}


def _flash_package(device: "torch.device") -> Any:
    """The flash-attn package's attention, in PyTorch's layout; None where it can't run."""
    if device.type != "cuda":
        return None
    try:
        from flash_attn import flash_attn_func
    except (ImportError, OSError):  # flash_package says why
        return None

    def attend(*inputs: "torch.Tensor") -> "torch.Tensor":
        mixed: torch.Tensor = flash_attn_func(*(each.transpose(1, 2) for each in inputs))
        return mixed.transpose(1, 2)

    return attend


def measure() -> Numbers:
    """On the CPU, float32."""
    import torch

    return compare(torch.device("cpu"), torch.float32)


def judge(numbers: Numbers) -> Judgement:
    """Some backend runs, and every one that runs is right."""
    backends, limit = numbers["backends"], TOLERANCE[numbers["dtype"]]
    errors = {name: each["error"] for name, each in backends.items()}
    wrong = [name for name, error in errors.items() if error is None or error > limit]
    if wrong:
        shown = ", ".join(
            f"{name} (not finite)"
            if errors[name] is None
            else f"{name} (off by {errors[name]:.0%})"
            for name in wrong
        )
        return Judgement(Verdict.FAIL, f"wrong result: {shown}", _REINSTALL)
    shown = ", ".join(f"{name} {each['milliseconds']:.1f} ms" for name, each in backends.items())
    return Judgement(Verdict.OK, f"both ways: {shown}; right to {max(errors.values()):.0e}")


def measure_gpu() -> Numbers:
    """The same on the GPU, if there is one: bfloat16, as models train there."""
    import torch

    driver = shutil.which("nvidia-smi") is not None
    device = torch.accelerator.current_accelerator(check_available=True)
    if device is None:
        return {"name": None, "driver": driver, "cuda": torch.version.cuda}
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name() if cuda else device.type
    free = torch.cuda.mem_get_info()[0] / 1e9 if cuda else None
    return {"name": name, "free": free, **compare(device, torch.bfloat16)}


def judge_gpu(numbers: Numbers) -> Judgement:
    """A GPU is not needed. One that is there has to work."""
    if numbers["name"] is not None:
        found = judge(numbers)
        free = "" if numbers["free"] is None else f", {numbers['free']:.0f} GB free"
        return Judgement(found.verdict, f"{numbers['name']}{free}: {found.measured}", found.mend)
    if not numbers["driver"]:
        return Judgement(Verdict.ABSENT, "none; everything in the course runs without")
    if numbers["cuda"] is None:
        measured = "an NVIDIA driver is here, but this PyTorch is built for the CPU alone"
        mend = (
            "on Linux, pip install --force-reinstall -c constraints.txt torch; "
            "elsewhere see pytorch.org"
        )
        return Judgement(Verdict.WARN, measured, mend)
    measured = f"PyTorch (CUDA {numbers['cuda']}) finds no GPU, though an NVIDIA driver is here"
    mend = "run nvidia-smi: it says whether the GPU is visible and which CUDA the driver supports"
    return Judgement(Verdict.WARN, measured, mend)
