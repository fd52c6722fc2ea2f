"""One project's lock as each tool writes it, shortened.

They were made by uv 0.13.9, Poetry 2.5.1, 1.8.5 and 1.1.15, pipenv 2026.10.3 and pip 26.3; PDM's follows
its tests.
"""

from __future__ import annotations

import re

WHEEL = "https://files.example/toml-0.10.2-py2.py3-none-any.whl"


def whole(lock: str) -> str:
    """Return a lock whose hashes and commits are as long as uv wants them."""
    lock = re.sub(r'(?<=sha256:)([0-9a-f]{4})(?=")', lambda found: found[1] * 16, lock)
    return lock.replace('#9a455a38"', f'#{"9a455a38" * 5}"')


UV = whole("""\
version = 1
revision = 5
requires-python = ">=3.10"
resolution-markers = ["python_full_version >= '3.11'", "python_full_version < '3.11'"]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://public.example/simple" }
sdist = { url = "https://files.example/colorama-0.4.6.tar.gz", hash = "sha256:0869", size = 27697 }
wheels = [
    { url = "https://files.example/colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:4f1d", size = 25335 },
]

[[package]]
name = "gitlib"
version = "1.0"
source = { git = "https://git.example/gitlib?subdirectory=py&tag=v1.0#9a455a38" }

[[package]]
name = "iniconfig"
version = "2.0.0"
source = { registry = "https://public.example/simple" }
resolution-markers = ["python_full_version < '3.11'"]
sdist = { url = "https://files.example/iniconfig-2.0.0.tar.gz", hash = "sha256:2d91" }

[[package]]
name = "iniconfig"
version = "2.1.0"
source = { registry = "https://public.example/simple" }
resolution-markers = ["python_full_version >= '3.11'"]
sdist = { url = "https://files.example/iniconfig-2.1.0.tar.gz", hash = "sha256:3abb" }

[[package]]
name = "lib"
version = "1.0"
source = { directory = "lib" }
dependencies = [{ name = "six" }]

[[package]]
name = "pluggy"
version = "1.5.0"
source = { registry = "https://public.example/simple" }
sdist = { url = "https://files.example/pluggy-1.5.0.tar.gz", hash = "sha256:2cff" }

[[package]]
name = "shop"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
    { name = "gitlib" },
    { name = "iniconfig", version = "2.0.0", source = { registry = "https://public.example/simple" }, \
marker = "python_full_version < '3.11'" },
    { name = "iniconfig", version = "2.1.0", source = { registry = "https://public.example/simple" }, \
marker = "python_full_version >= '3.11'" },
    { name = "lib" },
    { name = "toml" },
    { name = "tqdm", extra = ["slack"] },
]

[package.optional-dependencies]
fancy = [{ name = "sortedcontainers" }]

[package.dev-dependencies]
dev = [{ name = "pluggy" }]

[[package]]
name = "six"
version = "1.16.0"
source = { registry = "https://public.example/simple" }
sdist = { url = "https://files.example/six-1.16.0.tar.gz", hash = "sha256:1e61" }

[[package]]
name = "slack-sdk"
version = "3.27.1"
source = { registry = "https://public.example/simple" }
sdist = { url = "https://files.example/slack_sdk-3.27.1.tar.gz", hash = "sha256:907a" }

[[package]]
name = "sortedcontainers"
version = "2.4.0"
source = { registry = "https://public.example/simple" }
sdist = { url = "https://files.example/sortedcontainers-2.4.0.tar.gz", hash = "sha256:25ca" }

[[package]]
name = "toml"
version = "0.10.2"
source = { url = "https://files.example/toml-0.10.2-py2.py3-none-any.whl" }
wheels = [{ url = "https://files.example/toml-0.10.2-py2.py3-none-any.whl", hash = "sha256:8061" }]

[[package]]
name = "tqdm"
version = "4.66.4"
source = { registry = "https://public.example/simple" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }]
sdist = { url = "https://files.example/tqdm-4.66.4.tar.gz", hash = "sha256:e4d9" }

[package.optional-dependencies]
slack = [{ name = "slack-sdk" }]
""")

PYLOCK_OF_PDM = """\
lock-version = "1.0"
requires-python = ">=3.10"
extras = ["fancy"]
dependency-groups = ["default", "dev"]
default-groups = ["default"]
created-by = "pdm"

[[packages]]
name = "colorama"
version = "0.4.6"
index = "https://public.example/simple"
marker = "sys_platform == \\"win32\\" and \\"default\\" in dependency_groups"
sdist = { url = "https://files.example/colorama-0.4.6.tar.gz", upload-time = 2022-10-25T02:36:22Z, size = 27697, \
hashes = { sha256 = "0869" } }
wheels = [{ url = "https://files.example/colorama-0.4.6-py2.py3-none-any.whl", hashes = { sha256 = "4f1d" } }]

[[packages]]
name = "gitlib"
version = "1.0"
marker = "\\"default\\" in dependency_groups"
vcs = { type = "git", url = "https://git.example/gitlib", requested-revision = "v1.0", commit-id = "9a455a38" }

[[packages]]
name = "lib"
directory = { path = "lib", editable = false }

[[packages]]
name = "pluggy"
version = "1.5.0"
marker = "\\"dev\\" in dependency_groups or \\"fancy\\" in extras"
sdist = { url = "https://files.example/pluggy-1.5.0.tar.gz", hashes = { sha256 = "2cff" } }

[[packages]]
name = "toml"
version = "0.10.2"
archive = { url = "https://files.example/toml-0.10.2-py2.py3-none-any.whl", hashes = { sha256 = "8061" } }
"""

PYLOCK_OF_PIP = """\
lock-version = "1.0"
created-by = "pip"

[[packages]]
name = "gitlib"

[packages.vcs]
type = "git"
url = "ssh://git@git.example/gitlib"
requested-revision = "v1.0"
commit-id = "9a455a38"

[[packages]]
name = "six"
version = "1.16.0"

[[packages.wheels]]
name = "six-1.16.0-py2.py3-none-any.whl"
url = "https://files.example/six-1.16.0-py2.py3-none-any.whl"

[packages.wheels.hashes]
sha256 = "8abb"
"""

POETRY_2 = """\
# This file is automatically @generated by Poetry 2.5.1 and should not be changed by hand.

[[package]]
name = "colorama"
version = "0.4.6"
optional = false
groups = ["main", "dev"]
markers = "platform_system == \\"Windows\\""
files = [
    {file = "colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:4f1d"},
    {file = "colorama-0.4.6.tar.gz", hash = "sha256:0869"},
]

[[package]]
name = "gitlib"
version = "1.0"
optional = false
groups = ["main"]
files = []

[package.source]
type = "git"
url = "git@git.example:team/gitlib.git"
reference = "v1.0"
resolved_reference = "9a455a38"
subdirectory = "py"

[[package]]
name = "iniconfig"
version = "2.0.0"
optional = false
groups = ["main"]
markers = "python_version == \\"3.10\\""
files = [{file = "iniconfig-2.0.0.tar.gz", hash = "sha256:2d91"}]

[[package]]
name = "iniconfig"
version = "2.1.0"
optional = false
groups = ["main", "dev"]
markers = {main = "python_version >= \\"3.11\\"", dev = "python_version >= \\"3.12\\""}
files = [{file = "iniconfig-2.1.0.tar.gz", hash = "sha256:3abb"}]

[package.source]
type = "legacy"
url = "https://pypi.example/simple"
reference = "company"

[[package]]
name = "lib"
version = "1.0"
optional = false
groups = ["main"]
files = []

[package.source]
type = "directory"
url = "lib"

[[package]]
name = "pluggy"
version = "1.5.0"
optional = false
groups = ["dev"]
files = [{file = "pluggy-1.5.0.tar.gz", hash = "sha256:2cff"}]

[[package]]
name = "sortedcontainers"
version = "2.4.0"
optional = true
groups = ["main"]
markers = "extra == \\"fancy\\""
files = [{file = "sortedcontainers-2.4.0.tar.gz", hash = "sha256:25ca"}]

[[package]]
name = "toml"
version = "0.10.2"
optional = false
groups = ["main"]
files = [{file = "toml-0.10.2-py2.py3-none-any.whl", hash = "sha256:8061"}]

[package.source]
type = "url"
url = "https://files.example/toml-0.10.2-py2.py3-none-any.whl"

[metadata]
lock-version = "2.1"
python-versions = "^3.10"
content-hash = "2fbd4e2280cb39af0c4f808c229faa1ede3c315b5bea1c7a7a2788fc8b1b9666"
"""

POETRY_1_8 = """\
[[package]]
name = "colorama"
version = "0.4.6"
optional = false
files = [{file = "colorama-0.4.6.tar.gz", hash = "sha256:0869"}]

[[package]]
name = "pluggy"
version = "1.5.0"
optional = false
files = [{file = "pluggy-1.5.0.tar.gz", hash = "sha256:2cff"}]

[metadata]
lock-version = "2.0"
python-versions = "^3.10"
content-hash = "2fbd4e2280cb39af0c4f808c229faa1ede3c315b5bea1c7a7a2788fc8b1b9666"
"""

POETRY_1_1 = """\
[[package]]
name = "colorama"
version = "0.4.6"
category = "main"
optional = false

[[package]]
name = "pluggy"
version = "1.5.0"
category = "dev"
optional = false

[[package]]
name = "sortedcontainers"
version = "2.4.0"
category = "main"
optional = true

[metadata]
lock-version = "1.1"
python-versions = "^3.10"
content-hash = "d204a859817115a0d354374ab1bcd6d1682e3c699af0490506c778879d7a670f"

[metadata.files]
colorama = [
    {file = "colorama-0.4.6-py2.py3-none-any.whl", hash = "sha256:4f1d"},
    {file = "colorama-0.4.6.tar.gz", hash = "sha256:0869"},
]
"""

PIPFILE = """\
{
    "_meta": {
        "requires": {},
        "sources": [
            {"name": "pypi", "url": "https://public.example/simple", "verify_ssl": true},
            {"name": "company", "url": "https://pypi.example/simple", "verify_ssl": true}
        ]
    },
    "default": {
        "colorama": {
            "markers": "sys_platform == 'win32'",
            "version": "*"
        },
        "gitlib": {
            "git": "https://git.example/gitlib",
            "ref": "9a455a38"
        },
        "lib": {
            "editable": true,
            "path": "./lib"
        },
        "tqdm": {
            "extras": ["slack"],
            "hashes": ["sha256:3552", "sha256:e4d9"],
            "markers": "python_version >= '3.8'",
            "version": "==4.66.4"
        },
        "toml": {
            "file": "https://files.example/toml-0.10.2-py2.py3-none-any.whl",
            "hashes": ["sha256:8061"]
        }
    },
    "develop": {
        "pluggy": {
            "version": "==1.5.0"
        }
    }
}
"""

CONDA = """\
name: shop
channels:
  - conda-forge
dependencies:
  - python=3.11.9=hb806964_0_cpython
  - pip=24.0
  - numpy=1.26.4=py311h64a7726_0
  - conda-forge::pandas>=2,<3
  - pip:
      - six==1.16.0
      # a comment
      - "tqdm[slack]==4.66.4 ; python_version >= '3.8'"
      - -r other.txt
prefix: /opt/conda/envs/shop
"""
