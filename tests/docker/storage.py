"""moto's S3 at an address that containers reach, with one bucket and one user; it can be stopped."""

from __future__ import annotations

import json
import logging
import socket
import urllib.request
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


class Storage:
    """Raise `OSError` if this machine does not have the address; objects survive `stop` and `start`."""

    def __init__(self, host: str, bucket: str) -> None:
        self._bucket = bucket
        with socket.create_server((host, 0)) as free:
            self._host, self._port = free.getsockname()
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.start()
        anybody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
        iam = self._client("iam", anybody)
        iam.create_user(UserName="ada")
        iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=_ALL)
        key = iam.create_access_key(UserName="ada")["AccessKey"]
        self.key = {name: key[name] for name in ("AccessKeyId", "SecretAccessKey")}
        self._client("s3", anybody).create_bucket(Bucket=bucket)
        # From now on moto checks keys and signatures.
        _tell_moto(self.url, "reset-auth", b"0")

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *error: object) -> None:
        # moto shares both among all its servers in a process, also with the next test file's.
        self.trust_everybody()
        _tell_moto(self.url, "reset")
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def credentials(self) -> str:
        """The content of the user's ``~/.aws/credentials``."""
        key = self.key
        return (
            f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"
        )

    @property
    def s3(self) -> Any:
        """Boto3's client with the user's key."""
        names = {"aws_access_key_id": "AccessKeyId", "aws_secret_access_key": "SecretAccessKey"}
        return self._client("s3", {name: self.key[value] for name, value in names.items()})

    def objects(self, prefix: str = "") -> set[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def content(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    def trust_everybody(self) -> None:
        """Accept any key from now on."""
        _tell_moto(self.url, "reset-auth", b"inf")

    def start(self) -> None:
        self._server = ThreadedMotoServer(self._host, self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def _client(self, service: str, key: dict[str, str]) -> Any:
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **key)


def _tell_moto(url: str, what: str, body: bytes = b"") -> None:
    asked = urllib.request.Request(f"{url}/moto-api/{what}", body, {"Content-Type": "text/plain"})
    urllib.request.urlopen(asked, timeout=30).close()
