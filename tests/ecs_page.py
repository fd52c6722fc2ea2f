"""docs/how-to/ecs.md: the files that it names, and its commands under their headings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "ecs.md").read_text(encoding="utf-8")
# The paragraph before a block begins with the file's name.
FILES = dict(re.findall(r"^`([\w./-]+)`(?:[^\n]|\n(?!\n))*:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
TASK: Any = json.loads(FILES["ecs/task.json"])
[CONTAINER] = TASK["containerDefinitions"]
IMAGE: dict[str, str] = yaml.safe_load(FILES["ecs/image.yml"])["services"]["jupyter"]
RUN: Any = json.loads(FILES["ecs/run.json"])
ROLES: dict[str, Any] = {name: json.loads(FILES[f"ecs/{name}-role.json"]) for name in ("execution", "task")}


def commands(heading: str) -> list[str]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
