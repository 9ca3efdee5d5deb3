"""Quick checks of an encoder: each reports what it measured and whether it passed."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class CheckResult:
    """One check's verdict: its name, whether it passed, and the measurement in words."""

    check: str
    passed: bool
    detail: str


def diagnose(
    model: nn.Module, vocabulary: int, pad_id: int = 0, seed: int = 0
) -> list[CheckResult]:
    """Run every check on random tokens. A copy of the model is used; the model is not touched.

    Args:
        model: takes ``input_ids`` and ``attention_mask`` (B, T), returns an output whose first
            entry is (B, T, D).
        vocabulary: V, tokens are drawn from it.
        pad_id: the token that fills padding.
        seed: of the tokens.

    Returns:
        One result for each check.
    """
    tested = copy.deepcopy(model).eval()
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(vocabulary, (4, 12), generator=generator)
    return [
        _shapes(tested, vocabulary, generator),
        _padding(tested, ids, pad_id),
        _batch(tested, ids),
        _gradients(tested, ids),
    ]


def _run(model: nn.Module, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    mask = torch.ones_like(ids) if mask is None else mask
    output: Tensor = model(input_ids=ids, attention_mask=mask)[0]
    return output


@torch.no_grad()
def _shapes(model: nn.Module, vocabulary: int, generator: torch.Generator) -> CheckResult:
    wrong = []
    for shape in ((1, 1), (1, 7), (3, 16)):
        ids = torch.randint(vocabulary, shape, generator=generator)
        try:
            output = _run(model, ids)
        except (RuntimeError, ValueError, IndexError) as error:
            wrong.append(f"{shape}: {str(error).splitlines()[0]}")
            continue
        if tuple(output.shape[:2]) != shape or not bool(output.isfinite().all()):
            wrong.append(f"{shape}: output {tuple(output.shape)}")
    return CheckResult("shapes", not wrong, "; ".join(wrong) or "(1,1), (1,7), (3,16) are finite")


@torch.no_grad()
def _padding(model: nn.Module, ids: Tensor, pad_id: int) -> CheckResult:
    """Masked padding must not move the real tokens."""
    padded = torch.cat([ids, torch.full((len(ids), 5), pad_id)], dim=1)
    mask = torch.ones_like(padded)
    mask[:, ids.shape[1] :] = 0
    error = _relative(_run(model, padded, mask)[:, : ids.shape[1]], _run(model, ids))
    return CheckResult("padding", error < 1e-4, f"five masked pads move real tokens by {error:.1e}")


@torch.no_grad()
def _batch(model: nn.Module, ids: Tensor) -> CheckResult:
    """A text's vectors must not depend on who shares its batch."""
    error = _relative(_run(model, ids[:1]), _run(model, ids)[:1])
    return CheckResult("batch", error < 1e-4, f"the rest of the batch moves a text by {error:.1e}")


def _gradients(model: nn.Module, ids: Tensor) -> CheckResult:
    """Some gradient must reach every parameter, and none may be NaN or infinite."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    output = _run(model, ids)
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    (output * direction).sum().backward()
    bad = []
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not bool(parameter.grad.any()):
            bad.append(f"{name}: none")
        elif not bool(parameter.grad.isfinite().all()):
            bad.append(f"{name}: not finite")
    total = sum(1 for _ in model.parameters())
    detail = f"reach all {total} parameters" if not bad else "; ".join(bad[:5])
    return CheckResult("gradients", not bad, detail)


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm().clamp(min=1e-12))
