"""What is generated from the hyper-parameter tables: the templates of the image and the tables of the READMEs."""

import json
import re
from typing import Any, Dict, Type

from ymir.params import TABLES, Parameters, choices_of

_HEADINGS = {
    "en": ("hyper-parameter", "default", "type", "choices", "meaning"),
    "zh": ("超参数", "默认值", "类型", "可选值", "说明"),
}


def render_template(table: Type[Parameters]) -> str:
    """The template file of one task: a flat `key: value` YAML, each key under its description."""
    lines = []
    for name, field in table.model_fields.items():
        lines.append(f"# {field.description}")
        lines.append(f"{name}: {_yaml_scalar(field.default)}")
    return "\n".join(lines) + "\n"


def render_markdown_table(table: Type[Parameters], language: str) -> str:
    """The table of one task for a README, in English ("en") or Chinese ("zh")."""
    rows = [" | ".join(_HEADINGS[language]), " | ".join("-" for _ in _HEADINGS[language])]
    for name, field in table.model_fields.items():
        meaning = field.description if language == "en" else field.json_schema_extra["zh"]
        choices = ", ".join(choices_of(field))
        default = f"`{field.default}`" if field.default != "" else "''"
        rows.append(" | ".join((f"`{name}`", default, field.annotation.__name__, choices, meaning)))
    return "\n".join(f"| {row} |" for row in rows) + "\n"


def fill_markers(text: str, language: str) -> str:
    """`text` with the table of each task between its markers `<!-- TASK-parameters -->` and `<!-- /TASK-parameters
    -->`."""
    for task, table in TABLES.items():
        start, end = f"<!-- {task}-parameters -->", f"<!-- /{task}-parameters -->"
        block = f"{start}\n{render_markdown_table(table, language)}{end}"
        text = re.sub(re.escape(start) + ".*?" + re.escape(end), lambda _, block=block: block, text, flags=re.DOTALL)
    return text


def template_files() -> Dict[str, str]:
    """File name in img_man/ → content, for every template."""
    return {f"{task}-template.yaml": render_template(table) for task, table in TABLES.items()}


def _yaml_scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    # The platform shows these files to people; JSON's quotes are YAML's, and only the empty text needs them here.
    return str(value) if value != "" and re.fullmatch(r"[\w./-]+|[\w.-]+:[\w.-]+", str(value)) else json.dumps(value)
