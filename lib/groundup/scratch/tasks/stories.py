"""Small stories from a small grammar, and a check of whether a story holds together.

In the spirit of TinyStories (Eldan and Li, 2023, arXiv 2305.07759): few words, whole sentences, and
facts that return. A child has a name, a pronoun and a thing; the thing has a colour; there is a
place, and an animal that helps. What a text says of them early it must still say late, and that
can be counted: see :func:`mistakes`.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from groundup.scratch.language import IGNORE
from groundup.scratch.types import IntArray

END = "\n\n"
"""What follows every story of a text."""

GIRLS = ("Anna", "Clara", "Ella", "Greta", "Ida", "Lily", "Mia", "Nora")
BOYS = ("Adam", "Ben", "Emil", "Finn", "Hugo", "Leo", "Otto", "Tom")
THINGS = (
    *("ball", "bell", "boat", "book", "cup", "doll", "drum", "flute", "hat", "kite", "lamp"),
    *("robot", "scarf", "sled", "train", "wagon"),
)
COLOURS = ("black", "blue", "brown", "green", "pink", "red", "white", "yellow")
PLACES = (
    *("beach", "castle", "farm", "forest", "garden", "lake", "library", "market", "park", "pond"),
    *("school", "zoo"),
)
ANIMALS = (
    *("bear", "cat", "crow", "dog", "duck", "fox", "frog", "goat", "horse", "mouse", "rabbit"),
    "turtle",
)
_TRAITS = "[brave|careful|cheerful|clever|curious|gentle|kind|little|quiet|shy|sleepy|small]"
_MANNERS = "[busy|fat|friendly|funny|lonely|polite|young|strange|tired|wise]"
_SHE = {"child": "girl", "he": "she", "him": "her", "his": "her"}
_HE = {"child": "boy", "he": "he", "him": "him", "his": "his"}

# [one|or|another] is a choice between equally likely words, {name} a fact of this story.
_OPENINGS = (
    f"Once upon a time there was a {_TRAITS} {{child}} named {{name}}.",
    f"Once there was a {_TRAITS} {{child}} whose name was {{name}}.",
    f"{{name}} was a {_TRAITS} {{child}}.",
    f"{{name}} was a {_TRAITS} {{child}} who lived near the [sea|bridge|mill|church|station].",
)
_PLOTS = (
    (
        "{He} had a {colour} {thing} and [took it everywhere|loved it very much|slept beside it].",
        "One [morning|day|evening] it was gone, so {he} [went|walked|ran] to the {place} "
        f"and asked a {_MANNERS} {{animal}}.",
        '"I saw it [in the grass|behind a stone|beside the path]," said the {animal}.',
        "[Soon|At last|There] {he} [saw|found|held] the {colour} {thing} again.",
    ),
    (
        "{He} [wanted|wished for|dreamed of] a {colour} {thing} more than anything.",
        f"At the {{place}} {{he}} [met|saw|found] a {_MANNERS} {{animal}}.",
        '"Help me [carry wood|pick apples|paint my door|mend my roof]," said the {animal}.',
        "{He} worked [all day|until evening|without rest], and then the {animal} [gave|brought] "
        "{him} the {colour} {thing}.",
    ),
    (
        "{He} got a {colour} {thing} from {his} [mother|father|grandmother|grandfather|aunt] and "
        "took it to the {place}.",
        f"There sat a {_MANNERS} {{animal}} [all alone|under a tree|on a bench].",
        '"May I [try|hold|see] your {thing}?" asked the {animal}.',
        "They played with the {colour} {thing} until [it got dark|the sun went down|it rained].",
    ),
    (
        "{He} [made|built|bought|found] a {colour} {thing} and took it to the {place}.",
        "[Suddenly|A moment later] [the wind took it away|it fell into the water|it got stuck], "
        "and {he} [began to cry|called for help].",
        f'"[Wait here|Do not cry]," said a {_MANNERS} {{animal}}.',
        "[Soon|Before long|A little later] the {animal} came back with the {colour} {thing}.",
    ),
)
_ENDINGS = (
    "{name} thanked the {animal} and [carried|took|brought] the {thing} home.",
    "From that day on {name} and the {animal} were [good|best|true] friends.",
    "{name} never forgot the {animal} [at|from] the {place}.",
    "[That night|Later] {name} told {his} [sister|brother|family] about the {animal}.",
)

Option = TypeVar("Option")


def story(rng: np.random.Generator) -> str:
    """One story: six sentences on a line, without :data:`END`.

    Args:
        rng: makes every choice.
    """
    return story_bits(rng)[0]


def stories(count: int, seed: int) -> str:
    """A text of many stories, each followed by :data:`END`.

    Args:
        count: how many.
        seed: of all their choices.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f"a text needs at least one story: got count={count}")
    rng = np.random.default_rng(seed)
    return "".join(story(rng) + END for _ in range(count))


def story_bits(rng: np.random.Generator) -> tuple[str, float]:
    """A story, and how many bits of choice went into it.

    No two ways through the grammar give the same text, so the bits are −log₂ of the story's
    probability. Their mean is the entropy of the grammar: no model can need fewer, on average.

    Args:
        rng: makes every choice, the same as in :func:`story`.
    """
    bits = 0.0

    def choose(options: Sequence[Option]) -> Option:
        nonlocal bits
        bits += math.log2(len(options))
        return options[int(rng.integers(len(options)))]

    name = choose(GIRLS + BOYS)
    forms = _SHE if name in GIRLS else _HE
    facts = {
        **forms,
        "He": forms["he"].capitalize(),
        "name": name,
        "colour": choose(COLOURS),
        "thing": choose(THINGS),
        "place": choose(PLACES),
        "animal": choose(ANIMALS),
    }
    sentences = [choose(_OPENINGS), *choose(_PLOTS), choose(_ENDINGS)]
    # Choices are made before facts go in: a choice may hold a fact.
    chosen = re.sub(
        r"\[([^\]]*)\]", lambda options: choose(options[1].split("|")), " ".join(sentences)
    )
    return chosen.format_map(facts), bits


def mistakes(text: str) -> list[str]:
    """Where a story contradicts itself or leaves something out; none if it is consistent.

    Only facts are checked, not grammar: one name, one thing, one colour, one place and one animal,
    pronouns that fit the name, and a full stop. All but the place must return.

    Args:
        text: one story, written by anybody.

    Returns:
        What is wrong, such as ``"name: Anna, Tom"`` or ``"animal: fox only once"``.
    """
    words = Counter(re.findall(r"\w+", text))
    found: list[str] = []
    facts = {
        "name": (GIRLS + BOYS, 2),
        "thing": (THINGS, 2),
        "colour": (COLOURS, 2),
        "place": (PLACES, 1),
        "animal": (ANIMALS, 2),
    }
    for fact, (known, least) in facts.items():
        named = [word for word in known if words[word]]
        if len(named) != 1:
            found.append(f"{fact}: {', '.join(named) or 'none'}")
        elif words[named[0]] < least:
            found.append(f"{fact}: {named[0]} only once")
    she, he = (
        [word for word in dict.fromkeys(forms.values()) if words[word] or words[word.capitalize()]]
        for forms in (_SHE, _HE)
    )
    girl, boy = (any(words[name] for name in names) for names in (GIRLS, BOYS))
    if not (she or he) or (girl and he) or (boy and she):
        found.append(f"pronoun: {', '.join(she + he) or 'none'}")
    if not text.rstrip().endswith((".", '."')):
        found.append("end: no full stop")
    return found


def consistent(text: str) -> bool:
    """Whether a story has no :func:`mistakes`."""
    return not mistakes(text)


def words(text: str) -> list[str]:
    """Cut a text into words with the space before them, marks, and ends of stories.

    Nothing is lost: ``"".join(words(text)) == text``. GPT-2 cuts a text in much the same way
    before it looks inside the words (Radford et al., 2019).

    Args:
        text: any text.
    """
    return re.findall(rf"{END}| ?\w+| ?[^\w\s]|\s", text)


def story_rows(texts: Sequence[Sequence[int]], end: int) -> tuple[IntArray, IntArray]:
    """Rows to train a decoder on, a story each: at every token, what comes next.

    A row begins with ``end``, as if another story had just ended, so that the first word is
    learned too. The last target is ``end``, so that stopping is learned. Short rows are filled up
    on the right, where no earlier token can look: no mask is needed.

    Args:
        texts: the token ids of each story, without ``end``.
        end: the id of :data:`END`.

    Returns:
        ids (N, T), T one more than the longest story has tokens, filled up with ``end``; and
        targets (N, T), :data:`~groundup.scratch.language.IGNORE` at the filling.

    Raises:
        ValueError: there is no story, or one is empty.
    """
    if not texts or not all(len(text) for text in texts):
        raise ValueError(
            f"story_rows takes stories of at least one token: got {[len(text) for text in texts]}"
        )
    ids = np.full((len(texts), 1 + max(len(text) for text in texts)), end)
    targets = np.full(ids.shape, IGNORE)
    for i, text in enumerate(texts):
        ids[i, 1 : len(text) + 1] = text
        targets[i, : len(text) + 1] = [*text, end]
    return ids, targets
