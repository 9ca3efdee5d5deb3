"""Wrong versions of the exercises of chapter 1. Each docstring says what is wrong."""

from itertools import pairwise

import numpy as np

from groundup.course.exercises.mutants import mutant
from groundup.scratch.tasks.digits import EOS, PAD, TOKEN_IDS, VOCABULARY


def _words(text):
    words = _spaced(text).split()
    if not words:
        raise ValueError("the question is empty")
    return words


def _spaced(text, marks="(),"):
    for mark in marks:
        text = text.replace(mark, f" {mark} ")
    return text


def _id(word):
    known = word if word in TOKEN_IDS else word.capitalize()
    if known not in TOKEN_IDS:
        raise ValueError(f"{word!r} is not in the vocabulary")
    return TOKEN_IDS[known]


@mutant("1.1", replaces="tokenize")
def no_eos(text):
    """[EOS] is missing: nothing tells the network where the question ends."""
    return [_id(word) for word in _words(text)]


@mutant("1.1", replaces="tokenize")
def eos_in_front(text):
    """[EOS] comes first, as some models put a token there; here it closes the question."""
    return [EOS, *(_id(word) for word in _words(text))]


@mutant("1.1", replaces="tokenize")
def eos_on_both_sides(text):
    """[EOS] comes first as well as last; here it only closes the question."""
    return [EOS, *(_id(word) for word in _words(text)), EOS]


@mutant("1.1", replaces="tokenize")
def tokens_not_ids(text):
    """The words themselves are returned: a network takes numbers."""
    return [VOCABULARY[_id(word)] for word in [*_words(text), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def as_array(text):
    """An array is returned and not a list: rows of different lengths are put together later."""
    return np.array([_id(word) for word in [*_words(text), "[EOS]"]])


@mutant("1.1", replaces="tokenize")
def digit_as_its_own_id(text):
    """A digit is taken for its own id, so that 5 becomes Max and 0 becomes [PAD]."""
    words = [*_words(text), "[EOS]"]
    return [int(word) if word.isdigit() and len(word) == 1 else _id(word) for word in words]


@mutant("1.1", replaces="tokenize")
def counted_from_one(text):
    """The vocabulary is counted from 1: every id is one too large."""
    return [_id(word) + 1 for word in [*_words(text), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def brackets_dropped(text):
    """Brackets are thrown away: they are tokens like any other."""
    _words(text)
    words = text.replace("(", " ").replace(")", " ").replace(",", " , ").split()
    return [_id(word) for word in [*words, "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def spaces_alone(text):
    """The text is split at spaces alone: Max(5 stays in one piece."""
    if not text.split():
        raise ValueError("the question is empty")
    return [_id(word) for word in [*text.split(), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def every_single_space(text):
    """The text is cut at every space: two in a row hold an empty word, and Max(5 stays whole."""
    return [_id(word) for word in [*text.split(" "), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def case_matters(text):
    """Words are looked up as they are written: max is refused."""
    words = [*_words(text), "[EOS]"]
    for word in words:
        if word not in TOKEN_IDS:
            raise ValueError(f"{word!r} is not in the vocabulary")
    return [TOKEN_IDS[word] for word in words]


@mutant("1.1", replaces="tokenize")
def first_letter_alone(text):
    """max and Max are taken for Max, and MAX and mAx are refused: any case is right."""
    ids = []
    for word in [*_words(text), "[EOS]"]:
        known = word[0].upper() + word[1:]
        if known not in TOKEN_IDS:
            raise ValueError(f"{word!r} is not in the vocabulary")
        ids.append(TOKEN_IDS[known])
    return ids


@mutant("1.1", replaces="tokenize")
def unknown_skipped(text):
    """Unknown words are skipped: the network answers another question than was asked."""
    words = [word for word in _words(text) if {word, word.capitalize()} & TOKEN_IDS.keys()]
    return [_id(word) for word in [*words, "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def unknown_is_padding(text):
    """Unknown words become [PAD], which the mask hides: they vanish without a word."""
    words = [*_words(text), "[EOS]"]
    return [TOKEN_IDS.get(word, TOKEN_IDS.get(word.capitalize(), PAD)) for word in words]


@mutant("1.1", replaces="tokenize")
def unknown_added(text):
    """Unknown words are given a new id: the network has no weights for it."""
    words = [word if word in TOKEN_IDS else word.capitalize() for word in _words(text)]
    return [*(TOKEN_IDS.setdefault(word, len(TOKEN_IDS)) for word in words), EOS]


@mutant("1.1", replaces="tokenize")
def key_error(text):
    """Unknown words raise KeyError, which says nothing to the one who typed the question."""
    words = [word if word in TOKEN_IDS else word.capitalize() for word in _words(text)]
    return [*(TOKEN_IDS[word] for word in words), EOS]


@mutant("1.1", replaces="tokenize")
def digit_by_digit(text):
    """Numbers are cut into digits: 12 becomes 1 and 2, which asks another question."""
    words = []
    for word in _words(text):
        words += list(word) if word.isdigit() else [word]
    return [_id(word) for word in [*words, "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def nothing_is_a_question(text):
    """A text without words gives [EOS] alone, as if something had been asked."""
    return [_id(word) for word in [*_spaced(text).split(), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def commas_kept_on(text):
    """Spaces are put around brackets and not around commas: 5,3 stays in one piece."""
    words = _spaced(text, "()").split()
    if not words:
        raise ValueError("the question is empty")
    return [_id(word) for word in [*words, "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def commas_dropped(text):
    """Commas are thrown away; a comma is in the vocabulary."""
    return [_id(word) for word in [*_words(text.replace(",", " ")), "[EOS]"]]


@mutant("1.1", replaces="tokenize")
def digits_by_arithmetic(text):
    """Numbers count by their value, as with int(word): 03 is taken for 3, another word."""
    ids = []
    for word in _words(text):
        digit = int(word) if word.isdigit() else -1
        ids.append(TOKEN_IDS["0"] + digit if 0 <= digit < 10 else _id(word))
    return [*ids, EOS]


@mutant("1.1", replaces="tokenize")
def first_word_in_any_case(text):
    """Only the first word may be in any case; an operation may, wherever it is."""
    first, *rest = _words(text)
    if not set(rest) <= set(TOKEN_IDS):
        raise ValueError("a word is not in the vocabulary")
    return [_id(first), *(TOKEN_IDS[word] for word in rest), EOS]


@mutant("1.1", replaces="tokenize")
def beginnings_accepted(text):
    """The beginning of a word is enough: Ma is taken for Max."""

    def find(word):
        known = [each for each in VOCABULARY if each.startswith(word.capitalize())]
        if not known:
            raise ValueError(f"{word!r} is not in the vocabulary")
        return TOKEN_IDS[known[0]]

    return [*(find(word) for word in _words(text)), EOS]


@mutant("1.1", replaces="tokenize")
def longer_words_accepted(text):
    """A word that begins with one of the vocabulary is taken for it: Maximum becomes Max."""

    def find(word):
        known = [
            each for each in VOCABULARY if len(each) > 1 and word.capitalize().startswith(each)
        ]
        return TOKEN_IDS[known[0]] if known else _id(word)

    return [*(find(word) for word in _words(text)), EOS]


@mutant("1.1", replaces="tokenize")
def questions_judged(text):
    """A text that does not begin with an operation is refused; it only needs known words."""
    words = _words(text)
    if not 2 <= _id(words[0]) <= 6:
        raise ValueError("a question begins with an operation")
    return [*map(_id, words), EOS]


@mutant("1.1", replaces="tokenize")
def minus_dropped(text):
    """Signs and points are thrown away: -5 becomes 5, which was not asked for."""
    return [*(_id(word.strip("-.")) for word in _words(text)), EOS]


def _filled(sequences, fill=PAD):
    if not sequences:
        raise ValueError("there is no sequence")
    ids = np.full((len(sequences), max(map(len, sequences))), fill)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return ids


def _lengths(sequences):
    return np.array([len(sequence) for sequence in sequences])[:, None]


@mutant("1.2", replaces="pad")
def on_the_left(sequences):
    """Padding is on the left: position 0 is then no longer the operation."""
    ids = np.full_like(_filled(sequences), PAD)
    for row, sequence in zip(ids, sequences, strict=True):
        row[len(row) - len(sequence) :] = sequence
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def mask_turned(sequences):
    """The mask is True at padding; here it is True at real tokens (other libraries differ)."""
    ids = _filled(sequences)
    return ids, ids == PAD


@mutant("1.2", replaces="pad")
def mask_of_numbers(sequences):
    """The mask holds 1 and 0: ids[mask] would then pick rows 1 and 0, not the real tokens."""
    ids = _filled(sequences)
    return ids, (ids != PAD).astype(int)


@mutant("1.2", replaces="pad")
def mask_all_true(sequences):
    """The mask is True everywhere, so padding counts as if it were text."""
    ids = _filled(sequences)
    return ids, np.ones_like(ids, dtype=bool)


@mutant("1.2", replaces="pad")
def mask_one_too_long(sequences):
    """The mask reaches one position too far: position <= length, where < is meant."""
    ids = _filled(sequences)
    return ids, np.arange(ids.shape[1]) <= _lengths(sequences)


@mutant("1.2", replaces="pad")
def mask_one_too_short(sequences):
    """The mask ends one position too soon, and hides the last real token."""
    ids = _filled(sequences)
    return ids, np.arange(ids.shape[1]) < _lengths(sequences) - 1


@mutant("1.2", replaces="pad")
def mask_without_eos(sequences):
    """The mask hides [EOS] wherever it is: it is a real token, and not padding."""
    ids = _filled(sequences)
    return ids, (ids != PAD) & (ids != EOS)


@mutant("1.2", replaces="pad")
def no_mask(sequences):
    """The ids are returned without the mask: the caller cannot tell padding from text."""
    return _filled(sequences)


@mutant("1.2", replaces="pad")
def mask_first(sequences):
    """Ids and mask have changed places."""
    ids = _filled(sequences)
    return ids != PAD, ids


@mutant("1.2", replaces="pad")
def filled_with_eos(sequences):
    """The rows are filled up with [EOS], as is done where a vocabulary has no [PAD]."""
    ids = _filled(sequences, EOS)
    return ids, np.arange(ids.shape[1]) < _lengths(sequences)


@mutant("1.2", replaces="pad")
def as_floats(sequences):
    """The ids are floats, as np.zeros makes them: they can no longer index anything."""
    ids = _filled(sequences)
    return ids.astype(float), ids != PAD


@mutant("1.2", replaces="pad")
def small_integers(sequences):
    """The ids are 8-bit integers, which end at 127: a larger vocabulary does not fit."""
    ids = _filled(sequences)
    return np.array(ids.tolist(), dtype=np.int8), ids != PAD


@mutant("1.2", replaces="pad")
def as_lists(sequences):
    """Lists are returned and not arrays, so that they have no shape."""
    ids = _filled(sequences)
    return ids.tolist(), (ids != PAD).tolist()


@mutant("1.2", replaces="pad")
def cut_to_the_shortest(sequences):
    """The rows are cut to the shortest sequence, and real tokens are lost."""
    ids = _filled(sequences)[:, : min(map(len, sequences))]
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def wide_as_the_first(sequences):
    """The first sequence decides the width: longer ones are cut off."""
    ids = _filled(sequences)[:, : len(sequences[0])]
    ids = np.pad(ids, ((0, 0), (0, len(sequences[0]) - ids.shape[1])), constant_values=PAD)
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def one_column_more(sequences):
    """There is a column more than the longest sequence needs: every batch pays for it."""
    ids = np.pad(_filled(sequences), ((0, 0), (0, 1)), constant_values=PAD)
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def sorted_by_length(sequences):
    """The rows are sorted by length, and are no longer beside their answers."""
    ids = _filled(sorted(sequences, key=len, reverse=True))
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def time_first(sequences):
    """Rows and columns are swapped, (T, N): a question is a column."""
    ids = _filled(sequences).T
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def appended_in_place(sequences):
    """[PAD] is appended to the caller's own lists, which are then longer than their text."""
    if not sequences:
        raise ValueError("there is no sequence")
    length = max(map(len, sequences))
    for sequence in sequences:
        while len(sequence) < length:
            sequence.append(PAD)
    ids = np.array(sequences)
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def nothing_accepted(sequences):
    """No sequences give an array of no rows, and the fault shows up somewhere else."""
    if not sequences:
        return np.zeros((0, 0), dtype=int), np.zeros((0, 0), dtype=bool)
    ids = _filled(sequences)
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def sixteen_bits(sequences):
    """The ids are 16-bit integers, which end at 32,767: large vocabularies do not fit."""
    ids = _filled(sequences)
    return ids.astype(np.int16), ids != PAD


@mutant("1.2", replaces="pad")
def callers_list_emptied(sequences):
    """The sequences are popped from the caller's list, which is empty afterwards."""
    ids = _filled(sequences)
    while sequences:
        sequences.pop()
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def empty_sequences_refused(sequences):
    """A sequence without tokens is refused; only a list without sequences must be."""
    if not all(sequences):
        raise ValueError("a sequence is empty")
    ids = _filled(sequences)
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def empty_sequences_dropped(sequences):
    """Sequences without tokens are left out: the rows no longer belong to the answers."""
    ids = _filled([each for each in sequences if each])
    return ids, ids != PAD


@mutant("1.2", replaces="pad")
def empty_rows_of_floats(sequences):
    """Where no sequence has a token, both arrays are of floats, as np.array([[]]) is."""
    ids = _filled(sequences)
    return (ids, ids != PAD) if ids.size else (ids.astype(float), ids.astype(float))


@mutant("1.2", replaces="pad")
def at_least_one_column(sequences):
    """There is a column of [PAD] even if no sequence has a token."""
    ids = _filled([*sequences, [PAD]])[:-1]
    return ids, ids != PAD


def _refuse(inputs, order, shares):
    if sorted(order.tolist()) != list(range(len(inputs))):
        raise ValueError("order must hold every row once")
    _refuse_shares(shares)


def _refuse_shares(shares):
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError("shares must sum to 1")


def _line(keys, order):
    """The rows that stand for an input, as order has them, and the place of each row's input."""
    first = {}
    stands_for = [first.setdefault(key, row) for row, key in enumerate(keys)]
    line = [row for row in order.tolist() if stands_for[row] == row]
    return line, np.array([line.index(stands_for[row]) for row in order])


def _tuples(inputs):
    return [tuple(row) for row in inputs.tolist()]


def _parts(order, places, count, shares):
    cuts = np.round(np.cumsum(shares)[:-1] * count)
    part = np.searchsorted(cuts, places, side="right")
    return [order[part == i] for i in range(len(shares))]


def _together(inputs, order, shares):
    line, places = _line(_tuples(inputs), order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def rows_cut(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The rows are cut, and not the distinct inputs: one input may be in several parts."""
    _refuse(inputs, order, shares)
    return _parts(order, np.arange(len(order)), len(order), shares)


@mutant("1.3", replaces="disjoint_split")
def cuts_from_rows(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The shares are taken of the number of rows; with repeats the last parts stay empty."""
    _refuse(inputs, order, shares)
    _, places = _line(_tuples(inputs), order)
    return _parts(order, places, len(order), shares)


@mutant("1.3", replaces="disjoint_split")
def first_met(inputs, order, shares=(0.8, 0.1, 0.1)):
    """An input's place is where order first meets it: frequent inputs gather in the first part."""
    _refuse(inputs, order, shares)
    keys, line = _tuples(inputs), {}
    places = [line.setdefault(keys[row], len(line)) for row in order]
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def order_not_used(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The rows are taken as they are in the file, and not in the shuffled order."""
    _refuse(inputs, order, shares)
    return _together(inputs, np.sort(order), shares)


@mutant("1.3", replaces="disjoint_split")
def inputs_sorted(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The inputs are sorted, as np.unique does: the last in the alphabet end in the last part."""
    _refuse(inputs, order, shares)
    keys = _tuples(inputs)
    distinct = sorted(set(keys))
    return _parts(order, [distinct.index(keys[row]) for row in order], len(distinct), shares)


@mutant("1.3", replaces="disjoint_split")
def repeats_dropped(inputs, order, shares=(0.8, 0.1, 0.1)):
    """A row whose input came before is dropped: every row belongs to some part."""
    _refuse(inputs, order, shares)
    line, _ = _line(_tuples(inputs), order)
    return _parts(np.array(line), np.arange(len(line)), len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def seen_rows_dropped(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The rows are cut, and what an earlier part has seen is dropped: rows are lost."""
    _refuse(inputs, order, shares)
    keys, parts, seen = _tuples(inputs), [], set()
    for rows in _parts(order, np.arange(len(order)), len(order), shares):
        parts.append(rows[[keys[row] not in seen for row in rows]])
        seen |= {keys[row] for row in rows}
    return parts


@mutant("1.3", replaces="disjoint_split")
def only_neighbours(inputs, order, shares=(0.8, 0.1, 0.1)):
    """An input is compared with the one before it only; a repeat further on counts as new."""
    _refuse(inputs, order, shares)
    keys = [_tuples(inputs)[row] for row in order]
    new = [i == 0 or keys[i] != keys[i - 1] for i in range(len(keys))]
    return _parts(order, np.cumsum(new) - 1, sum(new), shares)


@mutant("1.3", replaces="disjoint_split")
def order_of_tokens_ignored(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Inputs with the same tokens in another order are taken for one: 5 3 is not 3 5."""
    _refuse(inputs, order, shares)
    line, places = _line([tuple(sorted(row)) for row in _tuples(inputs)], order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def first_token_alone(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Only the first token is compared: all questions of one operation become one input."""
    _refuse(inputs, order, shares)
    line, places = _line([row[0] for row in _tuples(inputs)], order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def first_two_tokens(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Only the first two tokens are compared: 5 3 9 and 5 3 7 become one input."""
    _refuse(inputs, order, shares)
    line, places = _line([row[:2] for row in _tuples(inputs)], order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def positions_returned(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Positions in order are returned and not the row numbers that are there."""
    _refuse(inputs, order, shares)
    line, places = _line(_tuples(inputs), order)
    return _parts(np.arange(len(order)), places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def places_returned(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Places in the line of distinct inputs are returned and not row numbers."""
    _refuse(inputs, order, shares)
    line, _ = _line(_tuples(inputs), order)
    return _parts(np.arange(len(line)), np.arange(len(line)), len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def sorted_rows(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The rows of each part are sorted again: the shuffled order is lost."""
    _refuse(inputs, order, shares)
    return [np.sort(part) for part in _together(inputs, order, shares)]


@mutant("1.3", replaces="disjoint_split")
def shares_not_added(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Each share is a cut by itself; a cut lies at the sum of the shares up to it."""
    _refuse(inputs, order, shares)
    line, places = _line(_tuples(inputs), order)
    edges = [0, *(round(share * len(line)) for share in shares[:-1]), len(line)]
    return [order[(places >= low) & (places < high)] for low, high in pairwise(edges)]


@mutant("1.3", replaces="disjoint_split")
def cut_one_too_late(inputs, order, shares=(0.8, 0.1, 0.1)):
    """A cut takes one input too many: place <= cut, where < is meant."""
    _refuse(inputs, order, shares)
    line, places = _line(_tuples(inputs), order)
    return _parts(order, places - 1, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def shuffled_again(inputs, order, shares=(0.8, 0.1, 0.1)):
    """order is shuffled once more, in place: the caller's array changes."""
    _refuse(inputs, order, shares)
    np.random.default_rng(0).shuffle(order)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def truth_values(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Each part is an array of True and False and not of row numbers."""
    _refuse(inputs, order, shares)
    return [np.isin(np.arange(len(inputs)), part) for part in _together(inputs, order, shares)]


@mutant("1.3", replaces="disjoint_split")
def inputs_returned(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The inputs themselves are returned: their answers can no longer be found."""
    _refuse(inputs, order, shares)
    return [inputs[part] for part in _together(inputs, order, shares)]


@mutant("1.3", replaces="disjoint_split")
def always_three(inputs, order, shares=(0.8, 0.1, 0.1)):
    """There are always three parts, 80/10/10, whatever the shares are."""
    _refuse(inputs, order, shares)
    return _together(inputs, order, (0.8, 0.1, 0.1))


@mutant("1.3", replaces="disjoint_split")
def shares_not_checked(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Shares that do not sum to 1 are accepted: the last part quietly gets what is left."""
    _refuse(inputs, order, (1.0,))
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def order_not_checked(inputs, order, shares=(0.8, 0.1, 0.1)):
    """order is not checked: a row that is missing in it vanishes without a word."""
    _refuse_shares(shares)
    return _together(inputs, order, shares)


def _cut(inputs, order, shares, cuts):
    """The right split, but for the cuts: of the sums of shares, times the number of inputs."""
    _refuse(inputs, order, shares)
    line, places = _line(_tuples(inputs), order)
    part = np.searchsorted(cuts(np.cumsum(shares)[:-1] * len(line)), places, side="right")
    return [order[part == i] for i in range(len(shares))]


@mutant("1.3", replaces="disjoint_split")
def cuts_rounded_down(inputs, order, shares=(0.8, 0.1, 0.1)):
    """int() cuts off what follows the point: 5.6 becomes 5 and 7.999999999999999 becomes 7."""
    return _cut(inputs, order, shares, np.floor)


@mutant("1.3", replaces="disjoint_split")
def cuts_rounded_up(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The cuts are rounded up, as if the first parts were owed the rest."""
    return _cut(inputs, order, shares, np.ceil)


@mutant("1.3", replaces="disjoint_split")
def shares_rounded_one_by_one(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Each share is rounded and then added: the errors add up; round the sums."""
    _refuse(inputs, order, shares)
    line, places = _line(_tuples(inputs), order)
    cuts = np.cumsum(np.round(np.array(shares) * len(line)))[:-1]
    part = np.searchsorted(cuts, places, side="right")
    return [order[part == i] for i in range(len(shares))]


@mutant("1.3", replaces="disjoint_split")
def exact_sum_asked_for(inputs, order, shares=(0.8, 0.1, 0.1)):
    """sum(shares) == 1 refuses ten shares of 0.1, whose sum in floating point is a little less."""
    if sum(shares) != 1:
        raise ValueError("shares must sum to 1")
    _refuse(inputs, order, shares)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def sum_compared_by_isclose(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Shares that sum to 1.00000001 are accepted, as by np.isclose; rounding is 1e-9 here."""
    if min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise ValueError("shares must sum to 1")
    _refuse(inputs, order, (1.0,))
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def sum_asked_for_roughly(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Shares that sum to 0.999 are accepted: that is more than rounding."""
    if min(shares) < 0 or abs(sum(shares) - 1) > 0.01:
        raise ValueError("shares must sum to 1")
    _refuse(inputs, order, (1.0,))
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def zero_shares_refused(inputs, order, shares=(0.8, 0.1, 0.1)):
    """A share of 0 is refused; only negative ones must be."""
    if min(shares) <= 0:
        raise ValueError("shares must be positive")
    _refuse(inputs, order, shares)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def empty_parts_of_floats(inputs, order, shares=(0.8, 0.1, 0.1)):
    """A part without rows is an array of floats, as np.array([]) is: it can't pick rows."""
    _refuse(inputs, order, shares)
    return [np.array(part.tolist()) for part in _together(inputs, order, shares)]


@mutant("1.3", replaces="disjoint_split")
def ninety_percent(inputs, order, shares=(0.9, 0.05, 0.05)):
    """The shares are 90/5/5 if the caller gives none; the signature says 80/10/10."""
    _refuse(inputs, order, shares)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def rows_marked_by_index(inputs, order, shares=(0.8, 0.1, 0.1)):
    """-1 in order counts as the last row, as an index of NumPy does: order need not hold it."""
    _refuse(inputs, np.where(order < 0, order + len(inputs), order), shares)
    return _together(inputs, np.where(order < 0, order + len(inputs), order), shares)


@mutant("1.3", replaces="disjoint_split")
def key_by_base_seven(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The key of an input is a sum of tokens times powers, in which some inputs are alike."""
    _refuse(inputs, order, shares)
    keys = [sum(int(token) * 7**n for n, token in enumerate(row)) for row in inputs]
    line, places = _line(keys, order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def length_of_order_alone(inputs, order, shares=(0.8, 0.1, 0.1)):
    """Only the length of order is checked: a row may come twice while another is missing."""
    if len(order) != len(inputs):
        raise ValueError("order must hold every row once")
    _refuse_shares(shares)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def distinct_rows_counted(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The distinct numbers in order are counted: -1, or a row that does not exist, passes."""
    if len(set(order.tolist())) != len(inputs) or len(order) != len(inputs):
        raise ValueError("order must hold every row once")
    _refuse_shares(shares)
    return _together(inputs, order, shares)


@mutant("1.3", replaces="disjoint_split")
def tokens_joined(inputs, order, shares=(0.8, 0.1, 0.1)):
    """The tokens are joined without a space: 1 12 and 11 2 become one input."""
    _refuse(inputs, order, shares)
    line, places = _line(["".join(map(str, row)) for row in inputs.tolist()], order)
    return _parts(order, places, len(line), shares)


@mutant("1.3", replaces="disjoint_split")
def tokens_as_decimal_digits(inputs, order, shares=(0.8, 0.1, 0.1)):
    """An input is read as a decimal number: 1 12 and 2 2 are both 22."""
    _refuse(inputs, order, shares)
    powers = 10 ** np.arange(inputs.shape[1])[::-1]
    line, places = _line((inputs @ powers).tolist(), order)
    return _parts(order, places, len(line), shares)
