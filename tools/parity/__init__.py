"""How well mmseg here agrees with the original mmsegmentation 0.27.0 on mmcv 1.6.1.

Both packages are called mmseg, so each side is measured in a process of its own (`side.py`), the original in an
environment of its own (`environment.py`). They see the same inputs (`inputs.py`, `cases.py`) and leave JSON and npz
files, which `comparison.py` compares and `report.py` writes down.
"""
