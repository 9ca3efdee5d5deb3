"""From a gradient to a step: Adam, AdamW, clipping, and the learning rate over time."""

import numpy as np

from groundup.scratch.types import Array, Params


def adam(
    gradient: Array,
    first: Array,
    second: Array,
    step: int,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    r"""One step of Adam for one parameter (Kingma and Ba, 2014).

    Args:
        gradient: the gradient now, any shape.
        first: running mean of the gradient, same shape; zeros before step 1.
        second: running mean of its square, same shape; zeros before step 1.
        step: counts from 1.
        lr: the learning rate.
        beta1: how much of the running mean is kept.
        beta2: how much of the running mean square is kept.
        eps: keeps the division finite; it is added to the root, not under it.

    Returns:
        change (add it to the parameter), and the new first and second, all in the gradient's
        dtype. The inputs are not touched.

    Raises:
        ValueError: step is below 1, where both means would be divided by zero.

    Derivation:
        Both means start at zero and are too small by :math:`1-\beta^{step}`, the sum of the
        weights given so far; dividing by it makes them averages. Then
        :math:`\Delta = -lr\,\hat m/(\sqrt{\hat v} + eps)`.
    """
    if step < 1:
        raise ValueError(f"steps count from 1: got {step}")
    first = beta1 * first + (1 - beta1) * gradient
    second = beta2 * second + (1 - beta2) * gradient * gradient
    mean = first / (1 - beta1**step)
    mean_square = second / (1 - beta2**step)
    return -lr * mean / (np.sqrt(mean_square) + eps), first, second


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017), for parameters by name.

    Matrices decay; vectors (biases, norms) and the names in ``no_decay`` do not.

    Raises:
        ValueError: a beta lies outside [0, 1), or the decay is negative.
    """

    def __init__(
        self,
        params: Params,
        beta1: float = 0.9,
        beta2: float = 0.999,
        weight_decay: float = 0.01,
        no_decay: tuple[str, ...] = ("embedding",),
    ) -> None:
        _require_share(beta1=beta1, beta2=beta2)
        _require_at_least_zero(weight_decay=weight_decay)
        self.params = params
        self.betas = (beta1, beta2)
        self.decay = {
            name: weight_decay * (value.ndim > 1 and name not in no_decay)
            for name, value in params.items()
        }
        self.first = {name: np.zeros_like(value) for name, value in params.items()}
        self.second = {name: np.zeros_like(value) for name, value in params.items()}
        self.step_count = 0

    def step(self, grads: Params, lr: float) -> None:
        """Update the parameters in place.

        Args:
            grads: the gradient of each parameter, by its name.
            lr: the learning rate; :attr:`decay` holds the strength of each parameter's decay.

        Raises:
            ValueError: a gradient is missing or has another shape, or lr is negative. Nothing is
                changed then.
        """
        require_gradients(self.params, grads, lr)
        self.step_count += 1
        for name, value in self.params.items():
            change, self.first[name], self.second[name] = adam(
                grads[name], self.first[name], self.second[name], self.step_count, lr, *self.betas
            )
            if self.decay[name]:
                value *= 1 - lr * self.decay[name]
            value += change


class Adam(AdamW):
    """Adam as published; ``l2`` adds the penalty's gradient to the loss's (Kingma, Ba, 2014).

    Divided by the root of the mean square like everything else, that penalty hardly shrinks a
    weight whose gradients are large. AdamW takes the decay out of the division.
    """

    def __init__(
        self, params: Params, beta1: float = 0.9, beta2: float = 0.999, l2: float = 0.0
    ) -> None:
        _require_at_least_zero(l2=l2)
        super().__init__(params, beta1, beta2, weight_decay=0.0)
        self.l2 = l2

    def step(self, grads: Params, lr: float) -> None:
        """Update the parameters in place; see :meth:`AdamW.step`."""
        require_gradients(self.params, grads, lr)
        if self.l2:
            grads = {name: grads[name] + self.l2 * value for name, value in self.params.items()}
        super().step(grads, lr)


def sgd(gradient: Array, velocity: Array, lr: float, momentum: float = 0.9) -> tuple[Array, Array]:
    """One step of gradient descent with momentum for one parameter (Polyak, 1964).

    Args:
        gradient: the gradient now, any shape.
        velocity: what is left of earlier gradients, same shape; zeros at first.
        lr: the learning rate.
        momentum: how much of the velocity is kept; 0 is plain gradient descent.

    Returns:
        change (add it to the parameter), and the new velocity. The inputs are not touched.
    """
    velocity = momentum * velocity + gradient
    return -lr * velocity, velocity


class SGD:
    """Gradient descent with momentum, for a dictionary of parameters."""

    def __init__(self, params: Params, momentum: float = 0.9) -> None:
        _require_share(momentum=momentum)
        self.params = params
        self.momentum = momentum
        self.velocity = {name: np.zeros_like(value) for name, value in params.items()}

    def step(self, grads: Params, lr: float) -> None:
        """Update the parameters in place; see :meth:`AdamW.step`."""
        require_gradients(self.params, grads, lr)
        for name, value in self.params.items():
            change, self.velocity[name] = sgd(grads[name], self.velocity[name], lr, self.momentum)
            value += change


def clip_by_norm(grads: Params, limit: float) -> float:
    """Scale all gradients together, in place, so that their joint norm is at most ``limit``.

    Returns:
        The norm before clipping.

    Raises:
        ValueError: the limit is not above 0, or a gradient holds NaN or infinity: a run that has
            diverged ends here, before its parameters are lost.
    """
    if not limit > 0:
        raise ValueError(f"the limit of the norm must be above 0: got {limit}")
    # In float64: the squares of a run that diverges overflow float32 before its gradients do.
    norm = float(np.sqrt(sum(np.square(g, dtype=np.float64).sum() for g in grads.values())))
    if not np.isfinite(norm):
        broken = [name for name, g in grads.items() if not np.isfinite(g).all()]
        raise ValueError(f"the norm of the gradients is {norm}: NaN or infinity in {broken}")
    if norm > limit:
        for g in grads.values():
            g *= limit / norm
    return norm


def warmup_cosine(step: int, total: int, warmup: int, peak: float, floor: float = 0.0) -> float:
    """Learning rate at a step: a straight rise, then half a cosine down to the floor.

    Args:
        step: counts from 0; at ``warmup`` the peak is reached, in warmup + 1 equal parts: step 0
            has the first, since a step at rate 0 would be lost.
        total: the number of steps; at ``total`` the floor is reached. A run shorter than its
            warm-up only rises.
        warmup: steps of the rise, a line through zero before step 0, whatever the floor is.
        peak: the highest rate.
        floor: the last rate.

    Raises:
        ValueError: a step is negative, or the rates are not 0 <= floor <= peak < infinity.
    """
    if min(step, total, warmup) < 0 or not 0 <= floor <= peak < np.inf:
        raise ValueError(
            "a schedule needs steps that are not negative and rates 0 <= floor <= peak: got "
            f"step={step}, total={total}, warmup={warmup}, floor={floor}, peak={peak}"
        )
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = min((step - warmup) / max(total - warmup, 1), 1.0)
    return float(floor + (peak - floor) * 0.5 * (1 + np.cos(np.pi * done)))


def step_decay(step: int, every: int, factor: float, peak: float) -> float:
    """Learning rate at a step: the peak, multiplied by ``factor`` once every ``every`` steps.

    Args:
        step: counts from 0.
        every: steps between two falls, at least 1.
        factor: what is left after a fall, such as 0.1.
        peak: the first rate.

    Raises:
        ValueError: step is negative, every is below 1, or the factor or the peak is negative.
    """
    _require_at_least_zero(step=step, factor=factor, peak=peak)
    if every < 1:
        raise ValueError(f"every must be at least 1: got {every}")
    return peak * factor ** (step // every)


def _require_share(**shares: float) -> None:
    """Each says how much of the past is kept: less than all."""
    for name, value in shares.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must lie in [0, 1): got {value}")


def _require_at_least_zero(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be finite and at least 0: got {value}")


def require_gradients(params: Params, grads: Params, lr: float) -> None:
    """A gradient of each parameter, in its shape: another would be broadcast in silence."""
    _require_at_least_zero(lr=lr)
    for name, value in params.items():
        found = grads[name].shape if name in grads else "nothing"
        if found != value.shape:
            raise ValueError(f"the gradient of {name} must have shape {value.shape}: got {found}")
