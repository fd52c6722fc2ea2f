"""What generation does for data under DVC."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ANSWERS, Generated, git
from offers import needs

from ds_docker_env.common.errors import AnswerError
from ds_docker_env.generation import checks as refusals
from ds_docker_env.generation.dvc import find_credentials
from ds_docker_env.generation.wheel import NAME

Run = Callable[..., Generated]

URL = "s3://bucket/churn"
OTHERS = {
    **ANSWERS,
    **{"project_name": "A", "project_slug": "a", "__production_requirements": ""},
}


@pytest.mark.parametrize(
    "url", ["s3://a-bucket.of.3", "s3://bucket/", "s3://0bucket/a_b/c.d/date=2026-11/team@x/1+1/", " s3://bucket/x "]
)
def test_a_place_in_s3_is_taken(url: str) -> None:
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
def test_what_is_no_place_in_s3_is_refused_with_one_message(url: str) -> None:
    with pytest.raises(AnswerError) as refused:
        refusals.check(OTHERS | {"dvc_s3_url": url})
    [problem] = refused.value.problems
    assert problem.startswith("dvc_s3_url: ")
    assert "canary" not in problem
    assert problem.isprintable()


def test_without_dvc_there_is_no_word_of_it(bake: Run) -> None:
    project = bake().project
    for path in project.rglob("*"):
        # A random password may hold the three letters.
        if path.is_file() and not {".secrets", ".git", "requirements.txt", NAME} & {*path.parts}:
            text = path.read_text(encoding="utf-8")
            assert "dvc" not in text.lower(), path
            assert "AWS" not in text, path


def test_a_project_with_dvc_has_its_files_in_its_repository(bake: Run) -> None:
    generated = bake(dvc_s3_url=f"{URL}/")
    assert generated.exit_code == 0, generated.stderr
    assert f"    url = {URL}/\n" in generated.read(".dvc/config")
    assert "\ndvc==" in generated.read("tools.txt")
    new = git("status", "--porcelain", "--untracked-files=all", folder=generated.project).split()[1::2]
    assert {".dvc/.gitignore", ".dvc/config", ".dvcignore"} <= set(new)
    assert not [name for name in new if ".secrets" in name]


def test_git_keeps_pointers_and_never_data(bake: Run) -> None:
    project = bake(dvc_s3_url=URL).project
    data = project / "src" / "data"
    (data / "deep" / "er").mkdir(parents=True)
    kept = ["a.csv.dvc", "deep.dvc", "deep/b.csv.dvc", "deep/er/c.dvc", "deep/.gitignore", ".gitignore"]
    for name in (*kept, "a.csv", ".hidden", "deep/b.csv", "deep/er/c", "deep/er/dvc", "deep/er/a.dvc.csv"):
        (data / name).touch()
    (project / ".env").touch()
    new = git("status", "--porcelain", "--untracked-files=all", folder=project).split()[1::2]
    assert {name for name in new if name.startswith("src/data")} == {f"src/data/{name}" for name in kept}
    assert ".env" not in new


def test_a_persons_credentials_are_named_and_never_copied(
    bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my home" / ".aws" / "credentials"
    own.parent.mkdir(parents=True)
    own.write_text("[default]\naws_secret_access_key = canary\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(own))
    generated = bake(dvc_s3_url=URL)
    assert f"AWS:        credentials in {own}, named in .env\n" in generated.stdout
    escaped = str(own).replace("\\", "\\\\")
    assert f'\nAWS_SHARED_CREDENTIALS_FILE="{escaped}"\n' in generated.read(".env")
    assert generated.read(".secrets/aws_credentials") == ""
    files = [path for path in generated.project.rglob("*") if path.is_file()]
    assert not [path for path in files if b"canary" in path.read_bytes()]

    monkeypatch.chdir(generated.project)
    assert find_credentials(Path()) == "AWS:        credentials unchanged, named in .env"
    Path(".env").write_text("PORT=8889\n", encoding="utf-8")
    assert "; add to .env: AWS_SHARED_CREDENTIALS_FILE=" in find_credentials(Path())
    assert Path(".env").read_text(encoding="utf-8") == "PORT=8889\n"


def test_missing_credentials_are_said_with_what_to_do_and_leave_an_empty_file(
    bake: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "elsewhere"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(named))
    generated = bake(dvc_s3_url=URL)
    assert generated.exit_code == 0, generated.stderr
    assert f"AWS:        no credentials in {named}; " in generated.stdout
    assert not (generated.project / ".env").exists()
    secret = generated.project / ".secrets" / "aws_credentials"
    assert secret.read_bytes() == b""
    if os.name == "posix":
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


@needs("redis", "mysql", "h2o", "dask")
def test_credentials_are_a_docker_secret_of_what_reads_data_and_of_nothing_else(bake: Run) -> None:
    compose = yaml.safe_load(bake(dvc_s3_url=URL, services="redis, mysql, h2o, dask").read("docker-compose.yml"))
    services = compose["services"]
    assert {name for name in services if "aws_credentials" in services[name].get("secrets", ())} == {
        "jupyter",
        "dask-worker",
    }
    assert services["dask-worker"]["environment"] == services["jupyter"]["environment"]
    # Of what AWS reads, nothing but where the file is has a value of its own.
    assert [line for line in services["jupyter"]["environment"] if line.startswith("AWS") and "=" in line] == [
        "AWS_SHARED_CREDENTIALS_FILE=/run/secrets/aws_credentials"
    ]
    assert "AWS" not in str(services["redis"]) + str(services["mysql"])


def test_what_dvc_has_changed_stays_when_the_project_is_generated_again(cookiecutter: Run) -> None:
    config = cookiecutter(dvc_s3_url=URL).project / ".dvc" / "config"
    config.write_text(config.read_text() + "['remote \"backup\"']\n    url = s3://backup\n")
    before = config.read_text()
    elsewhere = cookiecutter("--overwrite-if-exists", dvc_s3_url="s3://elsewhere")
    assert "dvc remote modify storage url s3://elsewhere" in elsewhere.stdout
    assert f"sends src/data to {URL}\n" in cookiecutter("--overwrite-if-exists", dvc_s3_url=URL).stdout
    assert config.read_text() == before
