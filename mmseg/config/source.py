"""From the text of a Python config file to a syntax tree that is safe to build and to walk.

`{{ _base_.a.b }}` and `{{ fileBasename }}` are references: they are replaced by marks before parsing, because they may
stand where an expression stands and inside strings, and only what the file itself spells out counts (an escape such as
`\\x7b` in a string hides a brace, as it does upstream, where the file's text is substituted).
"""

import ast
import io
import itertools
import re
import tokenize
import warnings
from typing import Any, Callable, List, Tuple

from mmseg.config.limits import MAX_CHAIN, MAX_DEPTH, MAX_FSTRING_CHARS, MAX_NUMBER_CHARS
from mmseg.errors import ConfigError

FILE_VARIABLES = ("fileDirname", "fileBasename", "fileBasenameNoExtension", "fileExtname")

_REFERENCE = re.compile(r"\{\{(\s*)(_base_\.[\w.]+|" + "|".join(FILE_VARIABLES) + r")(\s*)\}\}")
_NESTING_KEYWORDS = frozenset(["not", "lambda", "if", "else", "and", "or", "in", "is", "await", "yield", "for"])
_FLAT_OPERATORS = frozenset([":", "=", "->"])
_MAX_INDENTS = 20


class References:
    """The references of one text, each replaced by a mark `{{MARK}}` that occurs nowhere else in it."""

    def __init__(self, text: str) -> None:
        # In one pass: a text may hold as many of them as fit.
        taken = set(re.findall(r"_ref([0-9]+)(?=_)", text))
        salt = next(number for number in itertools.count() if str(number) not in taken)
        self._prefix = f"_ref{salt}_"
        self._names: List[str] = []
        self._mark = re.compile(r"\{\{?(" + self._prefix + r"\d+)\n*\}\}?")
        self.text = _REFERENCE.sub(self._replace, text)

    def _replace(self, match: "re.Match") -> str:
        self._names.append(match.group(2))
        newlines = "\n" * match.group(0).count("\n")  # keeps the line numbers of what follows
        return "{{" + f"{self._prefix}{len(self._names) - 1}{newlines}" + "}}"

    def is_mark(self, identifier: str) -> bool:
        """Whether a name of the syntax tree stands for a reference."""
        return identifier.startswith(self._prefix)

    def name(self, mark: str) -> str:
        """What the mark stands for, such as `_base_.model` or `fileDirname`. Raises LookupError for an unknown mark."""
        number = mark[len(self._prefix) :]
        if not number.isdecimal() or int(number) >= len(self._names):
            raise LookupError(f"{mark} is not defined")
        return self._names[int(number)]

    def substitute(self, text: str, resolve: Callable[[str], Any]) -> str:
        """`text` with each mark replaced by its value as text."""
        return self._mark.sub(lambda match: str(resolve(self.name(match.group(1)))), text)

    def whole(self, text: str) -> str:
        """The mark that `text` consists of, or '' when it is anything else than one mark."""
        match = self._mark.fullmatch(text)
        return match.group(1) if match else ""

    def quote_bare(self) -> None:
        """Put references outside of strings into double quotes, for JSON and YAML, where braces mean something else."""
        string = r'(?:(?<=[\s\[,{:\-])|^)(?:"(?:[^"\\\n]|\\.)*"|' + r"'(?:[^'\n]|'')*')"
        bare = r"\{\{" + self._prefix + r"\d+\n*\}\}(?=\s*(?:[,\]}#]|$))"
        pattern = re.compile(string + "|" + r"(?P<bare>(?:(?<=[\s\[,{:\-])|^)" + bare + ")", re.MULTILINE)
        self.text = pattern.sub(lambda found: f'"{found[0]}"' if found["bare"] else found[0], self.text)


def has_reference(text: str) -> bool:
    """Whether a config file with this text in it would have a reference there."""
    return _REFERENCE.search(text) is not None


def parse_python(text: str, filename: str) -> Tuple[ast.Module, References]:
    """Parse the text of a config file. Raises ConfigError, with the line, when it is no Python or nested too deeply."""
    references = References(text)
    try:
        _check_nesting(references.text, filename)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about style, such as invalid escapes: upstream's files have some
            return ast.parse(references.text), references
    except tokenize.TokenError as error:
        position = error.args[1] if len(error.args) > 1 else (1, 0)
        raise ConfigError(f"{filename}:{position[0]}: this is not valid Python: {error.args[0]}") from error
    except SyntaxError as error:
        raise ConfigError(f"{filename}:{error.lineno or 1}: this is not valid Python: {error.msg}") from error
    except (RecursionError, MemoryError) as error:
        raise ConfigError(f"{filename}: the config is nested too deeply to be read") from error
    except ValueError as error:
        raise ConfigError(f"{filename}: the config is not valid Python text: {error}") from error


def _check_nesting(text: str, filename: str) -> None:
    """Refuse what becomes so deep a tree that it exhausts the parser's C stack, which kills some Python versions."""
    chains = [0]  # for each open bracket, how many operators hang on one another since its last comma
    indents = elifs = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind, spelling, line = token.type, token.string, token.start[0]
        if kind == tokenize.OP and spelling in "([{":
            chains[-1] += 1
            chains.append(0)
        elif kind == tokenize.OP and spelling in ")]}":
            if len(chains) > 1:
                chains.pop()
        elif kind == tokenize.NEWLINE or (kind == tokenize.OP and spelling in (",", ";")):
            chains[-1] = 0
        elif (kind == tokenize.OP and spelling not in _FLAT_OPERATORS) or spelling in _NESTING_KEYWORDS:
            chains[-1] += 1
        elif kind == tokenize.INDENT:
            indents += 1
        elif kind == tokenize.DEDENT:
            indents -= 1
        elif kind == tokenize.NUMBER and len(spelling) > MAX_NUMBER_CHARS:
            raise ConfigError(f"{filename}:{line}: a number has more than {MAX_NUMBER_CHARS} digits")
        elif kind == tokenize.NAME and spelling == "elif":
            elifs += 1
        elif kind == tokenize.STRING and len(spelling) > MAX_FSTRING_CHARS and "f" in spelling[:2].lower():
            # From Python 3.12 on, f-strings arrive as tokens of their own, so what is inside counts like the rest.
            raise ConfigError(f"{filename}:{line}: an f-string is longer than {MAX_FSTRING_CHARS} characters")
        too_deep = len(chains) > MAX_DEPTH or indents > _MAX_INDENTS
        if too_deep or (chains[-1] and sum(chains) > MAX_CHAIN + MAX_DEPTH) or elifs > MAX_CHAIN:
            raise ConfigError(f"{filename}:{line}: the config is nested too deeply to be read")
