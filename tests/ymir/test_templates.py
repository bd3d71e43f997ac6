from pathlib import Path

import pytest
import yaml

from ymir.params import TABLES
from ymir.templates import fill_markers, render_template, template_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(template_files()))
def test_the_templates_in_the_tree_are_the_generated_ones(name):
    assert (ROOT / "ymir" / "img_man" / name).read_text(encoding="utf-8") == template_files()[name]


@pytest.mark.parametrize("task", sorted(TABLES))
def test_a_template_is_flat_and_holds_every_default(task):
    values = yaml.safe_load(render_template(TABLES[task]))
    assert values == {name: field.default for name, field in TABLES[task].model_fields.items()}
    assert not any(isinstance(value, (dict, list)) for value in values.values())


@pytest.mark.parametrize(("readme", "language"), [("README.md", "en"), ("README_zh-CN.md", "zh")])
def test_the_tables_in_the_readmes_are_the_generated_ones(readme, language):
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert fill_markers(text, language) == text
    for task in TABLES:
        assert f"<!-- {task}-parameters -->" in text


def test_every_parameter_is_documented_in_both_languages():
    for table in TABLES.values():
        for name, field in table.model_fields.items():
            assert field.description, name
            assert field.json_schema_extra["zh"], name


def test_the_manifest_says_semantic_segmentation():
    manifest = yaml.safe_load((ROOT / "ymir" / "img_man" / "manifest.yaml").read_text(encoding="utf-8"))
    assert manifest["object_type"] in (3, [3])
