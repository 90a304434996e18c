"""The row grammar: a text to a tree, with line and column in every error.

```
condition  = condition or condition | condition and condition | not condition | comparison | (condition)
comparison = value (== | != | < | <= | > | >=) value | value [not] in [literal, ...] | value is [not] None
value      = signal.column | literal | value (+ | - | * | /) value | -value | (value)
literal    = 12 | 0.5 | 1e-4 | 'text' | "text" | true | false
```
A part of a name that is not a plain word stands in backquotes: pool.`my column`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from curate.errors import RecipeError

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
ARITHMETIC = ("+", "-", "*", "/")

_POWER = {"or": 1, "and": 2, **dict.fromkeys((*COMPARISONS, "in", "not", "is"), 4), "+": 5, "-": 5, "*": 6, "/": 6}
_NOT, _MINUS = 3, 7
_DEEPEST = 100
_LARGEST_EXPONENT = 400

_PART = r"(?:[^\W\d]\w*|`[^`\n]+`)"
_TOKEN = re.compile(
    rf"""(?P<space>\s+)
    | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<name>{_PART}(?:\.{_PART})*)
    | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
    | (?P<mark><=|>=|==|!=|[-+*/<>()\[\],])""",
    re.VERBOSE,
)
_KEYWORDS = ("and", "or", "not", "in", "is", "None", "true", "false")
_EXPECTED = {
    "[": "write a list of literals: language.code in ['en', 'de']",
    "]": "close the list with ]",
    ")": "close the parenthesis with )",
    "None": "`is None` and `is not None` ask whether there is a value; == compares",
    "in": "write `not in [...]`, or `not` before the whole condition",
}
_HINTS = {
    "=": "write == to compare",
    "&": "write and",
    "|": "write or",
    "!": "write not",
    "'": "close the text with the quote that opens it; write \\' for one inside",
    '"': 'close the text with the quote that opens it; write \\" for one inside',
    "`": "close the backquotes on the same line",
}
_NEEDS_NONE = "write `x is None` or `x is not None`: it is the only test that is true where there is no value"


Starts = Sequence[tuple[int, int, int]]
"""(offset in a text, line, column) of each piece of it that stands on a line of its own."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation, column or literal of a condition, and where it stands."""

    op: str
    parts: tuple["Node", ...] = ()
    value: Fraction | str | bool | None = None
    start: int = 0
    text: str = ""
    where: str = ""
    depth: int = 1

    def columns(self) -> Iterator[str]:
        """Evidence names, "signal.column", as they occur."""
        if self.op == "column":
            yield str(self.value)
        for part in self.parts:
            yield from part.columns()

    def canonical(self) -> list[object]:
        """Nested JSON lists that are equal where the conditions are: numbers as exact fractions."""
        if self.op == "literal":
            return [{"number": str(self.value)} if isinstance(self.value, Fraction) else self.value]
        return [self.op, *([self.value] if self.op == "column" else []), *(part.canonical() for part in self.parts)]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class Parser:
    """Reads one condition; `where`, `line` and `column` say where its first character stands, `starts` where those at other offsets do."""

    def __init__(self, text: str, where: str = "", line: int = 1, column: int = 1, starts: Starts = ()) -> None:
        """Cut the text into tokens; RecipeError at a character that begins none."""
        self.text, self.where, self.starts = text, where, starts or ((0, line, column),)
        self.tokens = list(self._cut())
        self.next = 0

    def condition(self) -> tuple[Node, ...]:
        """The operands of the top-level `and`, left to right."""
        root = self._infix(0)
        self._finish("a condition ends here")
        open_and = root.op == "and" and root.start == root.parts[0].start
        return root.parts if open_and else (root,)

    def order(self) -> tuple[str, bool]:
        """`signal.column [asc | desc]`: the column, and whether the smallest comes first. Descending unless `asc`."""
        node = self._name(self._take())
        token = self._peek()
        if token.kind == "end":
            return str(node.value), False
        self._take()
        if token.text not in ("asc", "desc"):
            raise self._error(
                token, f"a direction is asc or desc, not {token.text}", "write desc for the largest first, asc for the smallest"
            )
        self._finish("one column and its direction stand here")
        return str(node.value), token.text == "asc"

    def at(self, start: int) -> str:
        """file:line:column of a character of the text."""
        offset, line, column = max(begun for begun in self.starts if begun[0] <= start)
        before = self.text[offset:start]
        if "\n" in before:
            line, column, offset = line + before.count("\n"), 0, offset + before.rfind("\n")
        return f"{self.where}:{line}:{column + start - offset}".lstrip(":")

    def _cut(self) -> Iterator[_Token]:
        start = 0
        while start < len(self.text):
            found = _TOKEN.match(self.text, start)
            if not found:
                letter = self.text[start]
                fix = _HINTS.get(letter, "the row grammar has no such sign")
                raise RecipeError(f"{letter!r} means nothing here", where=self.at(start), fix=fix)
            if found.lastgroup != "space":
                yield _Token(str(found.lastgroup), found.group(), start)
            start = found.end()
        yield _Token("end", "", len(self.text))

    def _error(self, token: _Token, what: str, fix: str) -> RecipeError:
        return RecipeError(what, where=self.at(token.start), fix=fix)

    def _peek(self, ahead: int = 0) -> _Token:
        return self.tokens[min(self.next + ahead, len(self.tokens) - 1)]

    def _take(self) -> _Token:
        token = self._peek()
        self.next += 1
        return token

    def _expect(self, text: str, why: str) -> _Token:
        token = self._take()
        if token.text != text:
            raise self._error(token, f"expected {text} {why}, found {token.text or 'the end'}", _EXPECTED[text])
        return token

    def _finish(self, why: str) -> None:
        token = self._peek()
        if token.kind != "end":
            fix = "join conditions by `and` or `or`" if token.kind in ("name", "number", "text") else f"remove the {token.text}"
            raise self._error(token, f"{why}, found {token.text}", fix)

    def _node(self, op: str, start: int, *parts: Node, value: Fraction | str | bool | None = None) -> Node:
        end = self.tokens[self.next - 1].end
        depth = 1 + max((part.depth for part in parts), default=0)
        node = Node(op, parts, value, start, self.text[start:end], self.at(start), depth)
        if depth > _DEEPEST:
            raise RecipeError(f"nested more than {_DEEPEST} deep", where=node.where, fix="split it over stages")
        return node

    def _infix(self, floor: int, level: int = 0) -> Node:
        if level > _DEEPEST:
            raise self._error(self._peek(), f"nested more than {_DEEPEST} deep", "split it over stages")
        left = self._prefix(level + 1)
        while True:
            token = self._peek()
            power = _POWER.get(token.text, -1) if token.kind in ("name", "mark") else -1
            if power < floor or power < 0:
                return left
            self._take()
            if token.text in ("or", "and"):
                left = self._chain(left, token.text, power, level)
            elif token.text in ARITHMETIC:
                left = self._arithmetic(token, left, self._infix(power + 1, level + 1))
            else:
                left = self._comparison(token, left, level)

    def _chain(self, left: Node, op: str, power: int, level: int) -> Node:
        parts = [left, self._infix(power + 1, level + 1)]
        while self._peek().text == op:
            self._take()
            parts.append(self._infix(power + 1, level + 1))
        return self._node(op, left.start, *parts)

    def _comparison(self, token: _Token, left: Node, level: int) -> Node:
        if token.text == "is":
            negated = self._peek().text == "not"
            if negated:
                self._take()
            self._expect("None", "after `is`")
            made = self._node("is not" if negated else "is", left.start, left)
        elif token.text in ("in", "not"):
            if token.text == "not":
                self._expect("in", "after `not` that follows a value")
            values = self._list(level)
            made = self._node("in" if token.text == "in" else "not in", left.start, left, *values)
        else:
            right = self._infix(5, level + 1)
            made = self._node(token.text, left.start, left, right)
        if not any(True for _ in made.columns()):
            raise self._error(
                token,
                f"{made.text} asks for no evidence: it has the same answer for every row",
                "compare a column, such as text_length.words",
            )
        following = self._peek()
        if _POWER.get(following.text) == 4 and following.kind in ("name", "mark"):
            raise self._error(following, "comparisons do not chain", "write `a < b and b < c`, or put one comparison in parentheses")
        return made

    def _list(self, level: int) -> list[Node]:
        self._expect("[", "after `in`")
        values: list[Node] = []
        while not values or self._peek().text == ",":
            if values:
                self._take()
            token = self._peek()
            if token.text == "]":
                raise self._error(token, "a list needs a literal here", "an empty list would keep no row")
            value = self._infix(5, level + 1)
            if value.op != "literal":
                raise self._error(token, f"a list holds literals; {value.text} is none", "compare with it by == and join by `or`")
            values.append(value)
        self._expect("]", "or a comma after a list's literal")
        return values

    def _prefix(self, level: int) -> Node:
        token = self._take()
        if token.kind == "number":
            return self._node("literal", token.start, value=self._number(token))
        if token.kind == "text":
            return self._node("literal", token.start, value=self._unescape(token))
        if token.text == "(":
            inside = self._infix(0, level)
            close = self._expect(")", "to close the parenthesis")
            return replace(inside, start=token.start, text=self.text[token.start : close.end], where=self.at(token.start))
        if token.text == "not":
            return self._node("not", token.start, self._infix(_NOT, level))
        if token.text == "-":
            return self._negative(token, self._infix(_MINUS, level))
        if token.text in ("true", "false"):
            return self._node("literal", token.start, value=token.text == "true")
        if token.text == "None":
            raise self._error(token, "nothing equals None", _NEEDS_NONE)
        if token.kind == "name" and token.text not in _KEYWORDS:
            return self._name(token)
        fix = "write != for unequal" if token.text in ("<", ">") else "write signal.column, a number, or a text in quotes"
        raise self._error(token, f"expected a value, found {token.text or 'the end'}", fix)

    def _name(self, token: _Token) -> Node:
        parts = [part.strip("`") for part in re.findall(_PART, token.text)]
        if token.kind == "name" and len(parts) == 2:
            return self._node("column", token.start, value=".".join(parts))
        if self._peek().text == "(":
            raise self._error(token, f"the row grammar has no functions: {token.text}", "measure it in a signal")
        if token.text in ("True", "False", "null", "none", "None"):
            raise self._error(token, f"{token.text} means nothing here", "the literals are true and false, and None after `is`")
        fix = f"texts stand in quotes: '{token.text}'" if token.kind == "name" else "write it as signal.column, such as text_length.words"
        raise self._error(token, f"evidence is named signal.column; found {token.text or 'the end'}", fix)

    def _number(self, token: _Token) -> Fraction:
        exponent = re.search(r"[eE]([+-]?\d+)$", token.text)
        if len(token.text) > _LARGEST_EXPONENT or (exponent and abs(int(exponent.group(1))) > _LARGEST_EXPONENT):
            raise self._error(token, "a number out of all range", "write a smaller one")
        return Fraction(token.text)

    def _unescape(self, token: _Token) -> str:
        def plain(found: re.Match[str]) -> str:
            letter = found.group(1)
            if letter not in "\\'\"nt":
                raise self._error(token, f"\\{letter} means nothing in a text", "write \\\\ for a backslash")
            return {"n": "\n", "t": "\t"}.get(letter, letter)

        return re.sub(r"\\(.)", plain, token.text[1:-1])

    def _negative(self, token: _Token, operand: Node) -> Node:
        if operand.op == "literal" and isinstance(operand.value, Fraction):
            return self._node("literal", token.start, value=-operand.value)
        return self._node("neg", token.start, operand)

    def _arithmetic(self, token: _Token, left: Node, right: Node) -> Node:
        """Arithmetic between numbers is done here, exactly: 1/3 is a third."""
        if token.text == "/" and isinstance(right.value, Fraction) and not right.value:
            raise self._error(token, "division by zero", "divide by another number")
        if not (isinstance(left.value, Fraction) and isinstance(right.value, Fraction)):
            return self._node(token.text, left.start, left, right)
        a, b = left.value, right.value
        exact = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[token.text]
        return self._node("literal", left.start, value=exact)
