"""Options made of a recipe: a dataclass declares name, type, default and help of each once."""

import argparse
import inspect
import re
from dataclasses import Field, fields
from types import NoneType
from typing import Any, get_args


def add_recipe(
    command: argparse.ArgumentParser, recipe: type, variants: dict[str, type] | None = None
) -> None:
    """Add an option for each field. None stands for one that was not given.

    The help is what the docstring's ``Attributes:`` say of the field, and its default.

    Args:
        command: gets the options.
        recipe: the dataclass.
        variants: recipes of the same fields with other defaults, by the option that chooses them.
    """
    about = _attributes(recipe)
    for field in fields(recipe):
        option = f"--{field.name.replace('_', '-')}"
        (kind,) = {*(get_args(field.type) or (field.type,))} - {NoneType}
        text = about[field.name].rstrip(".").replace("%", "%%")
        if kind is bool:
            command.add_argument(option, action="store_true", default=None, help=text)
            continue
        defaults = [_default(field)]
        for name, variant in (variants or {}).items():
            (other,) = (each for each in fields(variant) if each.name == field.name)
            if other.default != field.default:
                defaults.append(f"with {name} {_default(other)}")
        shown = "" if field.default is None else f" (default {', '.join(defaults)})"
        command.add_argument(option, type=kind, help=text + shown)


def given(options: argparse.Namespace, recipe: type) -> dict[str, Any]:
    """What was said of each field of a recipe; None where nothing was."""
    return {field.name: getattr(options, field.name) for field in fields(recipe)}


def as_arguments(said: dict[str, Any]) -> list[str]:
    """The options of a call that says the same."""
    call = []
    for name, value in said.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            call += [option] if value is True else [option, str(value)]
    return call


def _default(field: "Field[Any]") -> str:
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _attributes(recipe: type) -> dict[str, str]:
    """The lines of ``Attributes:`` by name, those of the classes it inherits from included."""
    found: dict[str, str] = {}
    for each in reversed(recipe.__mro__[:-1]):
        _, _, part = inspect.cleandoc(each.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^    (\w+): (.+(?:\n        .+)*)", part, re.MULTILINE):
            found[name] = " ".join(text.split())
    return found
