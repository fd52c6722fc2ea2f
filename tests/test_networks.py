"""A company's proxy and a company's certificate: docs/how-to/networks.md."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from conftest import Generated, Pin, Write, committed, git, write_files
from forward_proxy import ForwardProxy
from package_index import COMPANY, PackageIndex

INDEX = f"https://{COMPANY}/simple/"
ADVICE = "; set SSL_CERT_FILE to a file with your company's certificates"
# The variables with which uv, requests and git find certificates.
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO")


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "company.crt"))
    return authority


@pytest.fixture
def company(
    offline: PackageIndex, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ForwardProxy]:
    """Offer production's file, its repository and an index behind a proxy, with a company's certificate."""
    for name in (*CERTIFICATES, "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "UV_SYSTEM_CERTS"):
        monkeypatch.delenv(name, raising=False)
    write_files(tmp_path / "home", {".gitconfig": ""})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    offline.add("ours", "1.0", "2.0")
    write_files(tmp_path / "api", {"requirements.txt": "ours==1.0\n"})
    committed(tmp_path / "api")
    git("clone", "--quiet", "--bare", str(tmp_path / "api"), str(offline.folder / "api.git"), folder=tmp_path)
    git("update-server-info", folder=offline.folder / "api.git")
    write_files(offline.folder, {"requirements.txt": "ours==1.0\n"})
    with PackageIndex(offline.folder, authority=authority) as index, ForwardProxy() as proxy:
        proxy.names[COMPANY] = index.address
        yield proxy


SOURCES = {
    "of the web": f"https://{COMPANY}/requirements.txt",
    "of a git repository": pytest.param(
        f"git+https://{COMPANY}/api.git",
        marks=pytest.mark.skipif(sys.platform == "win32", reason="git reads the certificates of Windows there"),
    ),
}


@pytest.mark.parametrize("spelling", ["HTTPS_PROXY", "https_proxy"])
@pytest.mark.parametrize("location", SOURCES.values(), ids=SOURCES)
def test_the_proxy_and_ssl_cert_file_are_all_that_a_file(
    pin: Pin,
    company: ForwardProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    location: str,
    spelling: str,
) -> None:
    monkeypatch.setenv(spelling, company.url)
    monkeypatch.setenv("UV_DEFAULT_INDEX", INDEX)
    refused = pin("", location=location)
    assert ADVICE in refused.stderr
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.crt"))
    generated = pin("", location=location)
    assert generated.locked["ours"] == "1.0"
    assert set(company.passed) == {COMPANY}


def test_an_index_with_an_untrusted_certificate_is_named_with_its_line(
    bake: Callable[..., Generated], company: ForwardProxy, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.url)
    refused = bake(production_requirements=write(f"# ours\n--extra-index-url {INDEX}\nours==1.0\n"))
    # uv asks for several packages at once.
    assert re.search(rf"requirements\.txt:2: the certificate of {INDEX}[\w-]+/ is not trusted{ADVICE}", refused.stderr)


def test_hosts_in_no_proxy_bypass_the_proxy(
    bake: Callable[..., Generated], company: ForwardProxy, offline: PackageIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    location = offline.url.replace("/simple/", "/requirements.txt")
    assert bake(production_requirements=location, _package_index=offline.url).locked["ours"] == "1.0"
