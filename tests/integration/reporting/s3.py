"""A server of S3's protocol that checks signatures: Moto's, as a process of its own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp
import boto3

from tests.integration.shop.kit import until
from tests.ports import free_url

BUCKET = "reports"
REGION = "eu-central-1"
_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "s3:*",
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
    ],
}


class S3:
    """The server, with one bucket, and one key that may do with its objects what reports do."""

    def __init__(self, log: Path) -> None:
        self.url = free_url()
        self.key, self.secret = "", ""
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, empty: what it had is gone, and its key is another."""
        port = self.url.rpartition(":")[2]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port),
                stdout=log,
                stderr=log,
            )
        await until(self._answers, 120)
        await asyncio.to_thread(self._prepare)
        # From now on it asks who calls.
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.post(f"{self.url}/moto-api/reset-auth", data=b"0"),
        ):
            pass

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stored(self, name: str) -> bytes | None:
        """What the bucket has by that name."""
        s3 = self._client("s3")

        def look() -> bytes | None:
            try:
                body: bytes = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
            except s3.exceptions.NoSuchKey:
                return None
            return body

        return await asyncio.to_thread(look)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self._log.read_text()
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/moto-api/"):
                return True
        except aiohttp.ClientError:
            return False

    def _prepare(self) -> None:
        self._client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        iam = self._client("iam")
        iam.create_user(UserName="reports")
        iam.put_user_policy(
            UserName="reports", PolicyName="reports", PolicyDocument=json.dumps(_POLICY)
        )
        made = iam.create_access_key(UserName="reports")["AccessKey"]
        self.key, self.secret = made["AccessKeyId"], made["SecretAccessKey"]

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=self.key or "anybody",
            aws_secret_access_key=self.secret or "anybody",
        )
