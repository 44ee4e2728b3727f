"""Serves the web app as Vite has built it: from memory, compressed, kept by its hashed names."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from weft.http import Problem, Reply, Request, Routes

BUILT: Final = Path(__file__).with_name("web") / "dist"
"""Where `make web` puts it."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_WORTH_PACKING: Final = 1000
_NOT_BUILT: Final = Path(__file__).with_name("index.html").read_bytes()


class Asset(msgspec.Struct, frozen=True):
    """A file in memory; `packed` is its gzip, None where that saves nothing."""

    body: bytes
    media: str
    etag: str
    kept: str
    packed: bytes | None

    @classmethod
    def of(cls, body: bytes, name: str, *, kept: str) -> "Asset":
        """Return what is served under `name`; `kept` is its Cache-Control."""
        media = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if media.startswith("text/"):
            media += "; charset=utf-8"
        packed = gzip.compress(body, mtime=0) if len(body) >= _WORTH_PACKING else body
        etag = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, media, etag, kept, packed if len(packed) < len(body) else None)

    def reply(self, request: Request) -> Reply[bytes]:
        """Return it, or 304 to whoever has it already."""
        packed = self.packed if _takes_gzip(request.headers) else None
        etag = f'"{self.etag}-gzip"' if packed else f'"{self.etag}"'
        headers = {**HEADERS, "Cache-Control": self.kept, "ETag": etag, "Vary": "Accept-Encoding"}
        if _has(request.headers.get("if-none-match", ""), etag):
            return Reply(None, 304, headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Reply(packed or self.body, headers=headers, content_type=self.media)


def routes(told: Mapping[str, Any], built: Path = BUILT) -> Routes:
    """Return the app's routes; `told` is what the app learns of this system, for everybody.

    Where nothing was built, `/` says how to.
    """
    serve = Routes()
    index = built / "index.html"
    page = Asset.of(
        index.read_bytes() if index.exists() else _NOT_BUILT, "index.html", kept="no-cache"
    )
    facts = Asset.of(msgspec.json.encode(told), "app.json", kept="no-cache")
    assets = {
        path.name: Asset.of(path.read_bytes(), path.name, kept=_FOR_EVER)
        for path in sorted((built / "assets").glob("*"))
    }

    async def show(request: Request) -> Reply[bytes]:
        return page.reply(request)

    async def tell(request: Request) -> Reply[bytes]:
        return facts.reply(request)

    async def asset(request: Request) -> Reply[bytes]:
        found = assets.get(request.path["name"])
        if found is None:
            raise Problem(404, detail="The web app has no such file.")
        return found.reply(request)

    serve.raw("GET", "/", show, public=True, listed=False)
    serve.raw("GET", "/app.json", tell, public=True, quiet=True, listed=False)
    serve.raw("GET", "/assets/{name}", asset, public=True, quiet=True, listed=False)
    return serve


def _takes_gzip(headers: Mapping[str, str]) -> bool:
    offered = headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return "gzip" in offered


def _has(if_none_match: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
