from __future__ import annotations

import re
from collections import Counter

import pytest
from golden import PAIR, PROJECTS, RICHEST, golden, rendered
from offers import PAIRS, needs

# Lines, with comments.
BUDGET = {
    "default": {"Dockerfile": 60, "docker-compose.yml": 45, "README.md": 85, "in all": 300},
    "production": {
        **{"Dockerfile": 60, "docker-compose.yml": 50, "README.md": 105, "in all": 340 + 90},
        **{".gitlab-ci.yml": 90},
    },
    "richest": {
        **{"Dockerfile": 75, "docker-compose.yml": 190, "README.md": 190, "in all": 650},
        **{".github/workflows/analysis.yml": 90},
    },
}
# Lines of requirements.in with the template's packages; the golden trees leave it out.
REQUIREMENTS = {"default": 12, "production": 13, "richest": 23}
PROGRAMS = {
    "a heredoc": r"<<-?\\?[\"']?[A-Z_]{2,}",
    "a failure that is hidden": r"\|\| *true\b|\|\| *:",
    "a program in a string": r"\b(python3?|bash|sh|node|perl) (-\w+ )*-\w*c\b",
    "a number of seconds without a name": r"(?<![\w.#:-])\d{9,}(?![\w.])",
    "a replaced builtin": r"\b\w+\(\) *\{",
}


@needs(*RICHEST["services"].split(", "))
@pytest.mark.skipif(PAIR not in PAIRS, reason=f"not on offer: Python {PAIR[0]} on {PAIR[1]}")
@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_matches_its_golden_tree(name: str) -> None:
    now, shown = rendered(name), golden(name)
    assert now.keys() == shown.keys(), "run: uv run tests/golden.py"
    for file, text in now.items():
        assert text == shown[file], f"{name}/{file} differs; run `uv run tests/golden.py` and review its diff"


@pytest.mark.parametrize("name", PROJECTS)
def test_the_lines_to_review_stay_within_the_budget(name: str) -> None:
    lines = Counter({file: len(text.splitlines()) for file, text in golden(name).items()})
    lines["in all"] = lines.total() + REQUIREMENTS[name]
    over = {file: lines[file] for file, most in BUDGET[name].items() if lines[file] > most}
    assert over == {}, f"{name}: lines of each file over its budget of {BUDGET[name]}"


def test_rendered_files_have_neither_heredocs_nor_hidden_failures() -> None:
    found = [
        f"{name}/{file}: {what}: {hit[0]}"
        for name in PROJECTS
        for file, text in golden(name).items()
        for what, pattern in PROGRAMS.items()
        if not file.endswith(".ipynb") and (hit := re.search(pattern, text))
    ]
    assert found == []


@pytest.mark.parametrize("name", PROJECTS)
def test_each_file_named_in_a_readme_exists_or_is_made_by_a_command(name: str) -> None:
    others = {"requirements.in", "requirements.txt", "tools.txt", "src/analysis.html"}
    named = set(re.findall(r"`([\w./]+\.(?:txt|in|ipynb|html|yml|md))`", golden(name)["README.md"]))
    assert named
    assert named <= {*golden(name), *others}
