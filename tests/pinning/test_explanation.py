"""The reason in uv's messages, in one sentence."""

from __future__ import annotations

import pytest

from ds_docker_env.common.uv import reason
from ds_docker_env.pinning.explanation import sentence

# As uv 0.13 writes them.
TWO = """\
warning: The requested Python version 3.11.14 is not available; 3.11.7 will be used to build dependencies instead.
Downloading numpy (16.1MiB)
error: No solution found when resolving dependencies
  cause: Because boto3==1.28.0 depends on botocore>=1.31.0,<1.32.0 and aiobotocore==2.4.0 depends on
         botocore>=1.27.59,<1.27.60, we can conclude that aiobotocore==2.4.0 and boto3==1.28.0 are incompatible.
         And because you require aiobotocore==2.4.0 and boto3==1.28.0, we can conclude that your requirements are
         unsatisfiable.

hint: Pre-releases are available
"""
BOTOCORE = "depends on botocore>=1.31.0,<1.32.0 and aiobotocore==2.4.0 depends on botocore>=1.27.59,<1.27.60"
GONE = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==9.9.9 and you require numpy==9.9.9, we
         can conclude that your requirements are unsatisfiable.
"""
BUILD = """\
Resolved 3 packages in 1s
error: Failed to download and build `pygobject==3.42.1`
  cause: The build backend returned an error
  cause: Call to `mesonpy.prepare_metadata_for_build_wheel` failed (exit status: 1)

[stderr]
../meson.build:31:12: ERROR: Dependency "cairo" not found
A full log can be found at /tmp/x/meson-logs/meson-log.txt
"""
COMPILED = """\
error: Failed to build `a==1`
  cause: Call to `build_wheel` failed (exit status: 1)
lber.c:1:10: fatal error: lber.h: No such file or directory
error: command '/usr/bin/gcc' failed with exit code 1
"""
HASH = """\
error: Failed to download `setuptools==70.0`
  cause: Hash mismatch for `setuptools==70.0`

         Expected:
           sha256:4e77

         Computed:
           sha256:9bbe
"""
PARSING = """\
error: Couldn't parse requirement in `production.txt` at position 13
  cause: expected version to start with a number, but no leading ASCII digits were found
         ipykernel===weird
                  ^^^^^^^^
"""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (TWO, f"boto3==1.28.0 {BOTOCORE}"),
        (GONE, "there is no version of numpy==9.9.9"),
        (BUILD, '../meson.build:31:12: ERROR: Dependency "cairo" not found'),
        (COMPILED, "lber.c:1:10: fatal error: lber.h: No such file or directory"),
        (HASH, "Hash mismatch for `setuptools==70.0`"),
        ("error: Requested package name `a` does not match `b`\n", "Requested package name `a` does not match `b`"),
        (PARSING, "expected version to start with a number, but no leading ASCII digits were found"),
        ("killed", "killed"),
    ],
)
def test_the_sentence_has_the_reason_without_progress_hints_and_paths(said: str, reason: str) -> None:
    assert sentence(said) == reason


def test_a_long_sentence_is_cut_without_a_password() -> None:
    said = sentence(f"error: https://me:canary@example.com/ {'is long ' * 99}")
    assert len(said) < 210 and said.endswith("...")
    assert "canary" not in said


def test_libraries_that_cannot_be_downloaded_name_the_host_and_the_cause() -> None:
    said = """\
error: Failed to fetch: http://index.example/simple/packaging/
  cause: error sending request for url (http://index.example/simple/packaging/)
  cause: failed to lookup address information: Name or service not known
"""
    assert reason(said) == "index.example: failed to lookup address information: Name or service not known"
    assert reason("ModuleNotFoundError: uv\n") == "ModuleNotFoundError: uv"
    assert reason("") == ""
