"""docs/security.md names the test of each rule; the tests are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"


def rows():
    """The rules of the document's tables: their cells."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[-1] != "test" and set(row[0]) != {"-"}]


def test_every_rule_names_tests_that_exist():
    assert len(rows()) > 35
    for row in rows():
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])
        assert named, f"no test is named for: {row[0]}"
        for file, test in named:
            tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert test in functions, f"{file} has no test {test}"
