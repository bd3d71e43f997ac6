"""Write ymir/img_man/*-template.yaml and the hyper-parameter tables of both READMEs from the tables in ymir/params.py.

usage: python tools/generate_templates.py
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ymir.templates import fill_markers, template_files  # noqa: E402


def main() -> None:
    argparse.ArgumentParser(description="Write the templates and the READMEs' hyper-parameter tables.").parse_args()
    for name, content in template_files().items():
        (ROOT / "ymir" / "img_man" / name).write_text(content, encoding="utf-8")
    for name, language in (("README.md", "en"), ("README_zh-CN.md", "zh")):
        readme = ROOT / name
        readme.write_text(fill_markers(readme.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
