"""A project behind a company's proxy, set in Docker's config.json: docs/how-to/networks.md."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from conftest import write_files
from forward_proxy import ForwardProxy
from package_index import COMPANY, PackageIndex

from docker.project import Project, eventually

pytestmark = pytest.mark.docker

# A service name, and the certificates of an image that was built with the company's certificate.
OVERRIDE = """\
services:
  jupyter:
    volumes: ["{bundle}:/etc/ssl/certs/ca-certificates.crt:ro"]
  h2o:
    image: {image}
    command: python -m http.server 54321
"""
INSIDE = """\
import socket, subprocess, sys, time, urllib.request
import requests
server = subprocess.Popen([sys.executable, "-m", "http.server", "9999"], stderr=subprocess.DEVNULL)
for address in (("h2o", 54321), ("127.0.0.1", 9999)):
    while socket.socket().connect_ex(address):
        time.sleep(0.1)
addresses = ["h2o:54321", "127.0.0.1:9999", "localhost:9999", f"{{socket.gethostname()}}:9999", "jupyter:{port}/api"]
for address in addresses:
    print(requests.get(f"http://{{address}}").status_code, urllib.request.urlopen(f"http://{{address}}").status)
server.kill()"""
OUTSIDE = f"""\
import boto3, requests, s3fs, urllib.request
from botocore import UNSIGNED
from botocore.config import Config
print(requests.get("http://data.example.com/customers.csv").text)
address = "https://{COMPANY}"
path = dict(addressing_style="path")
config = Config(signature_version=UNSIGNED, s3=path)
print(requests.get(f"{{address}}/data/a.txt").text)
print(urllib.request.urlopen(f"{{address}}/data/a.txt").read().decode())
client = boto3.client("s3", endpoint_url=address, region_name="eu-west-1", config=config)
print(client.get_object(Bucket="data", Key="a.txt")["Body"].read().decode())
files = s3fs.S3FileSystem(anon=True, endpoint_url=address, config_kwargs=dict(s3=path))
print(files.cat("data/a.txt").decode())"""


def test_requests_within_the_project_bypass_the_proxy_and_others_use_it(
    copy: Project, proxy: ForwardProxy, host: str, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "bundle.crt"))
    override = OVERRIDE.format(image=copy.image, bundle=tmp_path / "bundle.crt")
    write_files(copy.folder, {"docker-compose.override.yml": override})
    write_files(tmp_path / "s3", {"data/a.txt": "kept in S3"})
    with PackageIndex(tmp_path / "s3", host=host, authority=authority) as storage, copy.up():
        proxy.names[COMPANY] = storage.address
        [inside] = copy.outputs_beside_services(INSIDE.format(port=copy.port))
        assert inside.splitlines() == ["200 200"] * 5
        eventually(lambda: copy.inspect()["State"]["Health"]["Status"] == "healthy", "the notebook is healthy")
        assert proxy.passed == []
        [outside] = copy.outputs_beside_services(OUTSIDE)
        assert outside.splitlines() == ["data.example.com", *["kept in S3"] * 4]
        assert proxy.passed == ["data.example.com", *[COMPANY] * (len(proxy.passed) - 1)]
