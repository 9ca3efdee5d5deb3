"""The fast twin of the digit encoder's training step: the same mathematics, less work.

benchmarks/numpy_step.py measures it beside the plain forms, torch and JAX. The ideas, and where
each is used:

- one flat buffer for parameters, gradients and moments (``optimizer``);
- arrays that are made once and written over (``memory``), and results in place (``pieces``);
- heads as strided views, and softmax with the keys outermost (``block``, ``pieces``);
- sums over rows and columns as products with vectors (``pieces``);
- the first projection made for each token and each position, not for each place (``embedding``);
- the last block made for the one token that is read, without keys and values (``first_token``).
"""

from groundup.scratch.fast.trainer import FastTrainer as FastTrainer
