"""Whether a learner's function can be called as the library's is, and what to change if not."""

import ast
import re
from inspect import Parameter, Signature

from groundup.course.catalogue import Exercise

_BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_STARS = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def signature_fault(name: str, wanted: Signature, taken: Signature, exercise: Exercise) -> str:
    """What is wrong with a signature and how to correct it, two sentences; empty if it will do.

    It will do if it takes every call that the checks and the library make. So a parameter may have
    another name if it is never passed by name, a default of its own, and more
    parameters may follow that have defaults.

    Args:
        name: of the function.
        wanted: the library's signature.
        taken: the learner's.
        exercise: the function's, for the files that call it.
    """
    if remedy := _remedy(name, wanted, taken, exercise):
        return f"{name} must take {_shown(wanted)}: yours takes {_shown(taken)}. {remedy}"
    return ""


def _remedy(name: str, wanted: Signature, taken: Signature, exercise: Exercise) -> str:
    ours, theirs = list(wanted.parameters.values()), list(taken.parameters.values())
    by_name = {each.name: each for each in theirs if each.kind not in _STARS}
    places = [each for each in theirs if each.kind in _BY_PLACE]
    for index, each in enumerate(ours):
        found = _misplaced(each, index, wanted, taken)
        if found:
            return found
        own = by_name.get(each.name) or (places[index] if index < len(places) else None)
        if own is None:
            continue  # one of *args or **kwargs
        if own.name != each.name and (
            each.default is not each.empty or _passed_by_name(exercise, name, each.name)
        ):
            return f"{each.name} is passed by its name: call {own.name} {each.name}."
        if each.default is each.empty:
            continue
        if own.default is own.empty:
            return f"Give {own.name} its default: {_with_default(each)}."
    only_named = [each for each in theirs if each.kind is Parameter.KEYWORD_ONLY]
    for each in (*places[len(ours) :], *only_named):
        if each.default is each.empty and each.name not in wanted.parameters:
            return f"Give {each.name} a default, or take it out: nothing is passed for it."
    return ""


def _misplaced(each: Parameter, index: int, wanted: Signature, taken: Signature) -> str:
    """What to change if a parameter does not get what is passed at its place."""
    kinds = [other.kind for other in taken.parameters.values()]
    in_place = [other.name for other in taken.parameters.values() if other.kind in _BY_PLACE]
    if each.kind is Parameter.KEYWORD_ONLY:
        known = each.name in taken.parameters or Parameter.VAR_KEYWORD in kinds
        return "" if known else f"Add {_with_default(each)} after a *."
    if each.name in in_place:
        if in_place.index(each.name) == index:
            return ""
        expected = wanted.parameters
        missing = [other for other in expected.values() if other.name not in in_place]
        if missing:
            return f"Add {_with_default(missing[0])} in its place."
        foreign = [name for name in in_place[: in_place.index(each.name)] if name not in expected]
        if foreign and taken.parameters[foreign[0]].default is not each.empty:
            return f"Put {foreign[0]} at the end."
        if foreign:
            return f"Take {foreign[0]} out: nothing is passed for it."
        return "Put the parameters into that order."
    if each.name in taken.parameters:
        return f"{each.name} is passed by its place too: put it before the *."
    if index >= len(in_place) and Parameter.VAR_POSITIONAL not in kinds:
        return f"Add {_with_default(each)} at the end."
    return ""


def _passed_by_name(exercise: Exercise, function: str, name: str) -> bool:
    """Whether the checks, the library or a chapter pass an argument of this name to a function."""
    parts = (exercise.root / "lib", exercise.root / "chapters")
    files = [exercise.checks, *(file for part in parts for file in part.rglob("*.py"))]
    texts = (file.read_text(encoding="utf-8") for file in files if file.is_file())
    return any(_passes(text, function, name) for text in texts)


def _passes(text: str, function: str, name: str) -> bool:
    # Most files are told apart by their text, which is much faster than parsing them.
    if f"{function}(" not in text or not re.search(rf"\b{name}\s*=", text):
        return False
    called = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return any(
        function in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))
        and any(each.arg == name for each in node.keywords)
        for node in called
    )


def _with_default(parameter: Parameter) -> str:
    if parameter.default is parameter.empty:
        return parameter.name
    return f"{parameter.name}={parameter.default!r}"


def _shown(signature: Signature) -> str:
    """A signature without its annotations."""
    plain = [each.replace(annotation=Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=Signature.empty))
