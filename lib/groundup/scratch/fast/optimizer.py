"""AdamW over one flat buffer: a dozen array operations a step instead of a dozen a parameter."""

import math

import numpy as np

from groundup.scratch.fast.memory import views
from groundup.scratch.types import Array, Params


class FlatAdamW:
    """:class:`groundup.scratch.optim.AdamW`, with every parameter in one array.

    The parameters are moved into the buffer: the dictionary it is given then holds views of it.
    Those that decay stand first, so that the decay is one product with a slice.

    Attributes:
        params: the parameters by name, views of one buffer.
        grads: their gradients by name, views of another; the caller writes them.
        first: running means of the gradients, by name.
        second: running means of their squares, by name.
        step_count: the steps made.
    """

    def __init__(
        self,
        params: Params,
        beta1: float = 0.9,
        beta2: float = 0.999,
        weight_decay: float = 0.01,
        eps: float = 1e-8,
        no_decay: tuple[str, ...] = ("embedding",),
    ) -> None:
        decays = [name for name, p in params.items() if p.ndim > 1 and name not in no_decay]
        order = decays + [name for name in params if name not in decays]
        shapes = {name: params[name].shape for name in order}
        dtype = params[order[0]].dtype
        size = sum(p.size for p in params.values())
        self._decaying = sum(params[name].size for name in decays)
        self._p, self._g, self._m, self._v, self._work = (np.zeros(size, dtype) for _ in range(5))
        self.grads, self.first, self.second = (
            views(flat, shapes) for flat in (self._g, self._m, self._v)
        )
        for name, view in views(self._p, shapes).items():
            view[...] = params[name]
            params[name] = view
        self.params = params
        self.betas = (beta1, beta2)
        self.weight_decay = weight_decay
        self.eps = eps
        self.step_count = 0

    def clip(self, limit: float) -> float:
        """Scale the gradients so that their joint norm is at most ``limit``.

        Returns:
            The norm before clipping.

        Raises:
            ValueError: the limit is not above 0, or a gradient holds NaN or infinity.
        """
        if not limit > 0:
            raise ValueError(f"the limit of the norm must be above 0: got {limit}")
        # In float64, as in the plain form: the squares overflow float32 before the gradients do.
        norm = float(np.linalg.norm(self._g.astype(np.float64)))
        if not math.isfinite(norm):
            broken = [name for name, g in self.grads.items() if not np.isfinite(g).all()]
            raise ValueError(f"the norm of the gradients is {norm}: NaN or infinity in {broken}")
        if norm > limit:
            self._g *= limit / norm
        return norm

    def step(self, lr: float) -> None:
        r"""Update the parameters from :attr:`grads`.

        Derivation:
            The bias corrections are numbers, so they need no pass over the moments:
            :math:`\frac{m/c_1}{\sqrt{v/c_2}+\epsilon} =
            \frac{\sqrt{c_2}}{c_1}\cdot\frac{m}{\sqrt v+\epsilon\sqrt{c_2}}` with
            :math:`c_i = 1-\beta_i^{step}`. And :math:`\beta m+(1-\beta)g = m+(1-\beta)(g-m)`.
        """
        self.step_count += 1
        beta1, beta2 = self.betas
        correction1 = 1 - beta1**self.step_count
        correction2 = math.sqrt(1 - beta2**self.step_count)
        work: Array = self._work
        np.subtract(self._g, self._m, out=work)
        work *= 1 - beta1
        self._m += work
        np.multiply(self._g, self._g, out=work)
        work -= self._v
        work *= 1 - beta2
        self._v += work
        np.sqrt(self._v, out=work)
        work += self.eps * correction2
        np.divide(self._m, work, out=work)
        work *= lr * correction2 / correction1
        if self.weight_decay:
            self._p[: self._decaying] *= 1 - lr * self.weight_decay
        self._p -= work
