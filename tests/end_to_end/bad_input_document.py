"""Write docs/bad-input.md from the table of bad inputs: `python -m tests.end_to_end.bad_input_document`."""

from collections import Counter
from pathlib import Path

from tests.end_to_end.bad_inputs import TABLE

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"

_HEAD = """# Bad input

What the executor says about input that no task can be done with. Every row is a test
(`tests/end_to_end/test_bad_input.py`), made from the table in `tests/end_to_end/bad_inputs`, of which
`python -m tests.end_to_end.bad_input_document` writes this page.

Before any heavy work all of the input is looked at: the config, the model files, the index files, the headers of all
images, the annotations. All problems that are found go to `problems.txt` in the output folder, one a line, with the
return code, and with the file and the line of the index where there is one. The first of them decide about the return
code and the sentence in `monitor.txt`. The exit status is 1, and the results of an earlier run stay as they were.

With `on_bad_image: skip`, candidates that cannot be read are no problem, unless none can be read.

| | task | input | code | the sentence holds |
|---:|---|---|---|---|
"""


def document() -> str:
    """The page."""
    rows = []
    for number, bad in enumerate(TABLE, 1):
        words = " … ".join(f"`{word.strip()}`" for word in bad.words).replace("|", "\\|")
        rows.append(f"| {number} | {bad.kind} | {bad.name} | {bad.code} | {words} |\n")
    counts = ", ".join(f"{count} of {code}" for code, count in sorted(Counter(bad.code for bad in TABLE).items()))
    return f"{_HEAD}{''.join(rows)}\n{len(TABLE)} inputs: {counts}.\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
