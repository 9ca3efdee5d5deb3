r"""Formulas as lines of text: ``\frac{\hat m}{\sqrt{\hat v} + \epsilon}`` is ``m̂/(√v̂ + ε)``.

For the worked explanations, which a terminal shows too. Converters that exist drop braces, and
``e^{x - c}`` then reads as another formula; here a group that is needed becomes parentheses.
"""

import re
from collections.abc import Callable

_MATHS = re.compile(r"\$\$(?P<block>.+?)\$\$|(?<![\\$\w])\$(?P<inline>[^$\n]+?)\$(?!\w)", re.DOTALL)
_ROLE = re.compile(r":math:`([^`]+)`")
_DIRECTIVE = re.compile(r"^( *)\.\. math::([^\n]*(?:\n\1 +\S[^\n]*)*)", re.MULTILINE)
_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_TOKEN = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)

_TABLE = """
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ kappa κ lambda λ mu μ
nu ν xi ξ pi π rho ρ sigma σ tau τ phi φ varphi φ chi χ psi ψ omega ω ell ℓ Gamma Γ Delta Δ Theta Θ
Lambda Λ Pi Π Sigma Σ Phi Φ Omega Ω sum ∑ prod ∏ int ∫ partial ∂ nabla ∇ infty ∞ cdot · times ×
odot ⊙ otimes ⊗ oplus ⊕ pm ± le ≤ leq ≤ ge ≥ geq ≥ ne ≠ neq ≠ ll ≪ gg ≫ approx ≈ sim ∼ equiv ≡
propto ∝ in ∈ notin ∉ leftarrow ← rightarrow → to → mapsto ↦ Rightarrow ⇒ top ᵀ circ ∘ ast ∗
prime ′ mid | vert | lvert | rvert | Vert ‖ lVert ‖ rVert ‖ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋
lceil ⌈ rceil ⌉ dots … ldots … cdots ⋯ vdots ⋮ ddots ⋱
log log ln ln exp exp sin sin cos cos tan tan tanh tanh max max min min argmax argmax argmin argmin
lim lim det det
""".split()  # noqa: SIM905
_SIGNS = dict(zip(_TABLE[::2], _TABLE[1::2], strict=True))
_SIGNS |= {"quad": "\u2003", "qquad": "\u2003\u2003"}
_MARKS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "vec": "\u20d7", "dot": "\u0307"}
_PLAIN = {"text", "mathrm", "mathbf", "mathbb", "mathcal", "operatorname", "mbox"}
_SIZES = {"left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg"}
_DROPPED = _SIZES | {"displaystyle", "textstyle", "limits", "nolimits"}
_ESCAPED = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", "\\": "\n", "|": "‖"}
_UP = dict(
    zip(
        "0123456789+-−=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWᵀ′",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵀ′",
        strict=True,
    )
)
_DOWN = dict(
    zip(
        "0123456789+-−=()aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)
_LARGE = "∑∏∫"


def in_text(markdown: str) -> str:
    """Markdown with its formulas as lines of text, to be read as it is."""
    return _replace(markdown, lambda text: text, "    ")


def in_markdown(markdown: str) -> str:
    """The same, to be rendered: a displayed formula is a quotation, special signs are escaped."""
    return _replace(markdown, lambda text: re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text), "> ")


def in_code(code: str) -> str:
    """Python code with the formulas of its docstrings, ``:math:`` and ``.. math::``, as text."""
    code = _DIRECTIVE.sub(lambda found: f"{found[1]}    {to_text(found[2])}", code)
    return _ROLE.sub(lambda found: to_text(found[1]), code)


def to_text(tex: str) -> str:
    """A formula as text. An unknown command stays as it is, with its backslash."""
    text = _Reader(_TOKEN.findall(tex.strip())).sequence()
    text = re.sub(r" +([.,])(?=\s|$)", r"\1", re.sub(r" *· *", " · ", text))
    text = re.sub(rf"([(−]) +(?=({_FUNCTIONS})\b)", r"\1", text)
    text = re.sub(rf"([{_LARGE}][{_SCRIPTS}]*)(?=[^\s{_SCRIPTS}_^])", r"\1 ", text)
    text = re.sub(rf"\b({_FUNCTIONS}) +\(", r"\1(", text)
    return "\n".join(re.sub(" +", " ", line).strip(" ") for line in text.strip().splitlines())


_FUNCTIONS = "|".join(name for name, sign in _SIGNS.items() if name == sign)
_SCRIPTS = "".join({*_UP.values(), *_DOWN.values()})
_HIDDEN = "\ufffc"  # replaces a pair of parentheses and what is in it
_SINGLE = re.compile(
    rf"√?\d+(\.\d+)?|[∂√]?[^\W\d_][{''.join(_MARKS.values())}]*[{_SCRIPTS}]*(\^{_HIDDEN})?"
    rf"|√?{_HIDDEN}|‖[^‖]*‖"
)
_NO_SIGN = {r"\,", r"\;", r"\ ", *(f"\\{name}" for name in _SIZES)}
_OPENING = {r"\partial", r"\nabla", r"\lVert", r"\lvert", r"\langle"}
_ENDS_FACTOR = {"=", "+", "-", ",", ".", ")", "]", "}", "&", ";", ":", "|", "/", "<", ">", "\\\\"}
_ENDS_FACTOR |= {f"\\{name}" for name in ("cdot", "times", "le", "ge", "approx", "leftarrow", "to")}
_ENDS_FACTOR |= {f"\\{name}" for name in ("quad", "qquad", "rVert", "rvert")}


class _Reader:
    """Reads the tokens of a formula from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def sequence(self, until: str = "") -> str:
        """Everything up to a closing token, which is taken too."""
        out = ""
        while self._at < len(self._tokens):
            token = self._next()
            if until and token.startswith(until):
                break
            out = self._add(out, token)
        return out

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        """The next token other than a space, or empty."""
        rest = self._tokens[self._at :]
        return next((t for t in rest if t.strip() and t not in _NO_SIGN), "")

    def _argument(self) -> str:
        """A group, or one token."""
        while self._at < len(self._tokens) and not self._tokens[self._at].strip():
            self._at += 1
        if self._at == len(self._tokens):
            return ""
        return self._add("", self._next()).strip()

    def _raw(self) -> str:
        """A group as it is written."""
        if self._peek() != "{":
            return self._argument()
        start = self._tokens.index("{", self._at) + 1
        end = self._tokens.index("}", start) if "}" in self._tokens[start:] else len(self._tokens)
        self._at = end + 1
        return "".join(self._tokens[start:end])

    def _add(self, out: str, token: str) -> str:
        """What was read so far, with one more token."""
        name = token[1:]
        if token == "{":
            return out + self.sequence("}")
        if token in ("^", "_"):
            return out.rstrip(" ") + _script(token, self._argument())
        if token.isspace():  # after a command that opens something, a space only ends its name
            return out if self._at > 1 and self._tokens[self._at - 2] in _OPENING else f"{out} "
        if not token.startswith("\\"):
            return out + {"-": "−", "*": "∗", "'": "′", "~": " "}.get(token, token)
        if name in ("frac", "tfrac", "dfrac"):
            return out + self._fraction(out)
        if name == "sqrt":
            return out + "√" + _group(self._argument())
        if name in _MARKS:
            inner = self._argument()
            return out + (inner + _MARKS[name] if len(inner) == 1 else f"{name}({inner})")
        if name == "overline":  # over each letter, with the marks that it has already
            return out + re.sub("(\\w[\u0300-\u036f]*)", "\\1\u0305", self._argument())
        if name == "boxed":
            return out + self._argument()
        if name in _PLAIN:
            return out + self._raw()
        if name == "underbrace":
            inner = self._argument()
            if self._peek() == "_":
                self._at = self._tokens.index("_", self._at) + 1
                return f"{out}({inner}) [{self._argument()}]"
            return out + inner
        if name in _DROPPED:
            if self._peek() == "." and name in _SIZES:
                self._at = self._tokens.index(".", self._at) + 1
            return out
        if name.startswith("begin{"):
            return out + _rows(name[6:-1], self.sequence(r"\end{"))
        if name in _SIGNS:
            return out + (f" {name} " if _SIGNS[name] == name else _SIGNS[name])
        return out + (_ESCAPED.get(name, token) if name.isalpha() else _ESCAPED.get(name, name))

    def _fraction(self, before: str) -> str:
        above, below = self._argument(), self._argument()
        if re.search(r"[\s+−·×/]|[∑∏]", _flat(above)):
            above = f"({above})"
        text = f"{above}/{_group(below)}"
        following = self._peek()
        factor_follows = following and following not in _ENDS_FACTOR
        of_a_function = re.search(rf"\b({_FUNCTIONS}) *$", before)
        return f"({text})" if factor_follows or of_a_function else text


def _group(text: str) -> str:
    return text if _SINGLE.fullmatch(_flat(text)) else f"({text})"


def _flat(text: str) -> str:
    """A text whose parentheses are hidden, the inner ones first."""
    while (shorter := re.sub(r"\([^()]*\)", _HIDDEN, text)) != text:
        text = shorter
    return text


def _script(kind: str, text: str) -> str:
    """An index or a power: in small signs if there are such, else behind ``_`` or ``^``."""
    small, tight = _UP if kind == "^" else _DOWN, text.replace(" ", "")
    if tight and all(sign in small for sign in tight):
        return "".join(small[sign] for sign in tight)
    return kind + (text if re.fullmatch(r"[A-Za-z]+|−?\d+(\.\d+)?|.", text) else f"({text})")


def _rows(kind: str, body: str) -> str:
    rows = [row.strip() for row in body.split("\n") if row.strip()]
    if "matrix" not in kind and kind != "cases":
        return "\n".join(row.replace("&", "") for row in rows)
    cells = [" ".join(row.replace("&", ", ").split()).replace(" ,", ",") for row in rows]
    return f"[{'; '.join(cells)}]"


def _replace(markdown: str, treat: Callable[[str], str], before: str) -> str:
    """Every formula outside of code, as text.

    Args:
        markdown: with formulas between ``$`` or ``$$``.
        treat: is applied to each formula's text.
        before: what each line of a displayed formula begins with.
    """

    def one(found: re.Match[str]) -> str:
        if found["inline"]:
            return treat(to_text(found["inline"]))
        return "\n".join(before + treat(line) for line in to_text(found["block"]).splitlines())

    parts = _CODE.split(markdown)
    return "".join(part if i % 2 else _MATHS.sub(one, part) for i, part in enumerate(parts))
