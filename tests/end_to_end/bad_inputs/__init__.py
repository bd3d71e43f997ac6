"""Inputs that no task can be done with: how a sound task is spoilt, and what must be said about it.

docs/bad-input.md is made of this table by `python -m tests.end_to_end.bad_input_document`.
"""

from typing import List

from tests.end_to_end.bad_inputs import annotations, files, images, packages, parameters
from tests.end_to_end.bad_inputs.row import BadInput

TABLE: List[BadInput] = [*parameters.ROWS, *files.ROWS, *annotations.ROWS, *images.ROWS, *packages.ROWS]
