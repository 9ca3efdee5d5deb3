"""Right versions of the exercises of chapter 5 in other styles, as each docstring says."""

import math

import numpy as np

from groundup.course.exercises.mutants import variant


@variant("5.1", replaces="adam")
def lerp(gradient, first, second, step, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """The means move towards the new value, and the corrections go into the step size."""
    if step <= 0:
        raise ValueError(step)
    first = first + (1 - beta1) * (gradient - first)
    second = second + (1 - beta2) * (np.square(gradient) - second)
    size = lr * math.sqrt(1 - beta2**step) / (1 - beta1**step)
    scaled_eps = eps * math.sqrt(1 - beta2**step)
    return [-size * first / (np.sqrt(second) + scaled_eps), first, second]


@variant("5.2", replaces="cross_entropy")
def log_add(logits, targets):
    """np.logaddexp, row by row, and a NumPy number for the loss."""
    if logits.ndim != 2 or targets.shape != (len(logits),) or len(targets) == 0:
        raise ValueError("shapes")
    if not np.issubdtype(targets.dtype, np.integer):
        raise ValueError("type")
    if not ((targets >= 0) & (targets < logits.shape[1])).all():
        raise ValueError("classes")
    losses = [np.logaddexp.reduce(row) - row[t] for row, t in zip(logits, targets, strict=True)]
    return np.mean(losses), (logits, targets)


@variant("5.3", replaces="clip_by_norm")
def as_pytorch(grads, limit):
    """PyTorch's factor, limit / (norm + 1e-6), and a NumPy number for the norm."""
    if not limit > 0:
        raise ValueError("limit")
    squares = [np.sum(g.astype(np.float64) ** 2) for g in grads.values()]
    norm = np.sqrt(np.sum(squares))
    if not np.isfinite(norm):
        raise ValueError("not finite")
    factor = min(1.0, limit / (norm + 1e-6))  # at the limit itself it shortens by a millionth
    for g in grads.values():
        np.multiply(g, factor, out=g, casting="same_kind")
    return norm


@variant("5.3", replaces="clip_by_norm")
def one_long_arrow(grads, limit):
    """All entries in one array for the norm, and each array written over by a slice."""
    arrow = np.concatenate([g.ravel().astype(np.float64) for g in grads.values()])
    if np.isnan(limit) or limit <= 0 or not np.isfinite(arrow).all():
        raise ValueError("limit or gradients")
    norm = np.linalg.norm(arrow)
    for g in grads.values():
        g[...] = g if norm <= limit else g * (limit / norm)
    return norm


@variant("5.4", replaces="warmup_cosine")
def half_angle(step, total, warmup, peak, floor=0.0):
    """The square of the cosine of half the angle, and np.clip."""
    if step < 0 or total < 0 or warmup < 0:
        raise ValueError("steps")
    if not (0 <= floor <= peak and math.isfinite(peak)):
        raise ValueError("rates")
    if step < warmup:
        return peak / (warmup + 1) * (step + 1)
    done = np.clip((step - warmup) / max(total - warmup, 1), 0, 1)
    return floor + (peak - floor) * np.cos(done * np.pi / 2) ** 2


@variant("5.5", replaces="accumulate")
def sums_first(objective, model, parts, rng=None):
    """Sums over answers first, and one division at the end."""
    total, loss, sums = 0, 0.0, {}
    for part in parts:
        if not part.counted:
            continue
        mean, grads = objective(model, part, rng)
        total += part.counted
        loss += mean * part.counted
        for name in grads:
            added = grads[name] * part.counted
            sums[name] = sums[name] + added if name in sums else added
    if total == 0:
        raise ValueError("nothing counts")
    return loss / total, {name: each / total for name, each in sums.items()}


@variant("5.6", replaces="sgd")
def as_a_list(gradient, velocity, lr, momentum=0.9):
    """A list for a tuple, and the change computed as one product."""
    new = gradient + velocity * momentum
    return [np.multiply(new, -lr), new]


@variant("5.7", replaces="step")
def written_out(self, grads, lr):
    """Everything written out, with no help of adam."""
    if lr < 0:
        raise ValueError("lr")
    for name, value in self.params.items():
        if name not in grads or np.shape(grads[name]) != value.shape:
            raise ValueError(name)
    self.step_count = self.step_count + 1
    beta1, beta2 = self.betas
    for name in self.params:
        g = grads[name]
        self.first[name] = beta1 * self.first[name] + (1 - beta1) * g
        self.second[name] = beta2 * self.second[name] + (1 - beta2) * g * g
        mean = self.first[name] / (1 - beta1**self.step_count)
        square = self.second[name] / (1 - beta2**self.step_count)
        self.params[name] -= lr * self.decay[name] * self.params[name]
        self.params[name] -= lr * mean / (np.sqrt(square) + 1e-8)
