# Stub 3d4fc830d9f2: yours to edit. It is never written over unasked.
"""Exercise 1.1, Text to token ids.

Write the body of ``tokenize``, then run
``groundup check 1.1``.
"""

from groundup.scratch.tasks.digits import EOS, OPERATIONS, TOKEN_IDS


def tokenize(text: str) -> list[int]:
    """Token ids of a question such as ``"Max ( 5 3 9 )"``, ending in [EOS].

    Brackets and commas are words too; spaces around them may be left out. Operations are accepted
    in any case, and words in any order.

    Raises:
        ValueError: the question is empty, or a word is not in the vocabulary.
    """
    raise NotImplementedError("1.1")
