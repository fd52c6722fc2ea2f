"""The files and credentials for data under DVC."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ANSWERS, Generated, git, write_files

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.generation import checks as refusals
from ds_docker_env.generation.dvc import find_credentials

Run = Callable[..., Generated]

URL = "s3://bucket/churn"
OTHERS = {**ANSWERS, "project_slug": "a", "__production_requirements": ""}


@pytest.mark.parametrize(
    "url", ["s3://a-bucket.of.3", "s3://bucket/", "s3://0bucket/a_b/c.d/date=2026-11/team@x/1+1/", " s3://bucket/x "]
)
def test_a_valid_s3_url_is_accepted(url: str) -> None:
    assert refusals.check(OTHERS | {"dvc_s3_url": url}).dvc_s3_url == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        *("bucket", "/data", "S3://bucket", "gs://bucket", "https://bucket.s3.amazonaws.com/x", "s3://", "s3:///x"),
        *("s3://ab", f"s3://{'a' * 64}", "s3://Bucket", "s3://my_bucket", "s3://-bucket", "s3://bucket-", "s3://a..b"),
        *("s3://192.168.0.1/x", "s3://bucket:9000/x", "s3://bucket//x", "s3://bucket/x//", "s3://bucket/../x"),
        *("s3://bucket/a b", "s3://bucket/a?versionId=1", "s3://bucket/a#b", "s3://bucket/'a'", 's3://bucket/"a"'),
        *(
            "s3://bucket/a\nurl = s3://other",
            "s3://bucket/a\x00",
            "s3://bucket/é",
            "s3://bucket/%(x)s",
            "s3://bucket/,",
        ),
        *("s3://KEY:canary@bucket/x", "s3://canary@bucket"),
    ],
)
def test_an_invalid_s3_url_is_refused_with_one_message(url: str) -> None:
    with pytest.raises(AnswerError) as refused:
        refusals.check(OTHERS | {"dvc_s3_url": url})
    [problem] = refused.value.problems
    assert problem.startswith("dvc_s3_url: ")
    assert "canary" not in problem
    assert problem.isprintable()


def test_git_keeps_only_pointers_and_missing_credentials_are_named_with_a_fix(
    bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "elsewhere"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(named))
    generated = bake(dvc_s3_url=f"{URL}/")
    assert generated.exit_code == 0, generated.stderr
    assert f"AWS:        credentials not found in {named}; " in generated.stdout
    assert f"    url = {URL}/\n" in generated.read(".dvc/config")
    assert "\ndvc==" in generated.read("tools.txt")
    assert "AWS" not in generated.read(".env")
    secret = generated.project / ".secrets" / "aws_credentials"
    assert secret.read_bytes() == b""
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600

    kept = ["a.csv.dvc", "deep.dvc", "deep/b.csv.dvc", "deep/er/c.dvc", "deep/.gitignore", ".gitignore"]
    others = ["a.csv", ".hidden", "deep/b.csv", "deep/er/c", "deep/er/dvc", "deep/er/a.dvc.csv"]
    write_files(generated.project, {".env": "", **{f"src/data/{name}": "" for name in (*kept, *others)}})
    new = git("status", "--porcelain", "--untracked-files=all", folder=generated.project).split()[1::2]
    assert {name for name in new if name.startswith("src/data")} == {f"src/data/{name}" for name in kept}
    assert {".dvc/.gitignore", ".dvc/config", ".dvcignore"} <= set(new)
    assert not [name for name in new if name == ".env" or ".secrets" in name]


def test_the_users_credentials_are_named_and_not_copied(
    bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my home" / ".aws" / "credentials"
    own.parent.mkdir(parents=True)
    own.write_text("[default]\naws_secret_access_key = canary\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    generated = bake(dvc_s3_url=URL)
    assert f"AWS:        credentials in {own}, set in .env\n" in generated.stdout
    escaped = str(own).replace("\\", "\\\\")
    assert f'\nAWS_SHARED_CREDENTIALS_FILE="{escaped}"\n' in generated.read(".env")
    assert generated.read(".secrets/aws_credentials") == ""
    files = [path for path in generated.project.rglob("*") if path.is_file()]
    assert not [path for path in files if b"canary" in path.read_bytes()]

    monkeypatch.chdir(generated.project)
    assert find_credentials(Path()) == "AWS:        credentials unchanged, set in .env"
    Path(".env").write_text("PORT=8889\n", encoding="utf-8")
    assert "; add to .env: AWS_SHARED_CREDENTIALS_FILE=" in find_credentials(Path())
    assert Path(".env").read_text(encoding="utf-8") == "PORT=8889\n"
