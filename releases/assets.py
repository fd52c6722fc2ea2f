"""Write the files of a release, for the commit that is checked out: ``uv run releases/assets.py 2026.12.0 DIRECTORY``.

``notes.md`` is the changelog's section. ``wheels.txt`` has the SHA-256 of the wheel for each combination of answers:
the wheel depends on the answers, but not on the machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from ds_docker_env.common.services import SERVICES
from ds_docker_env.common.target import DEBIAN_RELEASES
from ds_docker_env.generation.answers import Answers
from ds_docker_env.generation.release import VERSION, WHEEL, commit
from ds_docker_env.generation.wheel import pack

ROOT = Path(__file__).parents[1]
NOTES = """
## Verify the wheel of a project

Print the SHA-256 of the wheel, and search [wheels.txt]({assets}/wheels.txt) for it. The file has one line for each
combination of answers. Use the wheel only if one of the lines has this SHA-256.

```sh
sha256sum {wheel}
```

On macOS, use `shasum -a 256`; in PowerShell, `Get-FileHash`.
The SHA-256 of `wheels.txt` is `{digest}`. The signed tag {version} contains it, too.
"""


def section(changelog: str, heading: str) -> str:
    """Return the text below a heading such as ``[2026.12.0]``, up to the next release or the links."""
    found = re.search(rf"^## \[?{re.escape(heading)}\]?.*\n((?:(?!## |\[).*\n?)*)", changelog, re.MULTILINE)
    return found[1].strip() if found else ""


def wheels() -> Iterator[str]:
    """Yield a line for each combination of answers: the SHA-256 of the wheel, and the answers that change it."""
    context = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    own = {"ci": "none", "_package_index": "", "_template_url": context["_template_url"], "__commit": commit()}
    choices = ("production", "dvc", *SERVICES)
    chosen = [one for number in range(len(choices) + 1) for one in combinations(choices, number)]
    for python, debian, those in product(context["python_version"], context["debian_release"], chosen):
        if debian in DEBIAN_RELEASES[python]:
            answers = {
                "__production_requirements": "production" if "production" in those else "",
                "python_version": python,
                "debian_release": debian,
                "dvc_s3_url": "dvc" if "dvc" in those else "",
                "services": " ".join(name for name in SERVICES if name in those),
            }
            yield f"{pack(Answers.of(own | answers)).sha256}  {' '.join((python, debian, *those))}\n"


def write(folder: Path) -> None:
    """Write both files."""
    url = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_template_url"]
    listed = "".join(wheels()).encode()
    known = {"wheel": WHEEL, "version": VERSION, "digest": hashlib.sha256(listed).hexdigest()}
    notes = section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), VERSION)
    notes += "\n" + NOTES.format(assets=f"{url}/releases/download/{VERSION}", **known)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wheels.txt").write_bytes(listed)
    (folder / "notes.md").write_text(notes, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if sys.argv[1] != VERSION:
        sys.exit(f"{sys.argv[1]}: this commit has version {VERSION}; tag the commit of the release")
    write(Path(sys.argv[2]))
