"""An independent AWS Signature Version 4 signer that can also sign wrongly: every part can be replaced."""

from __future__ import annotations

import datetime
import hashlib
import hmac
from urllib.parse import quote, urlsplit


def digest(body: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(body).hexdigest()


def signed_headers(method: str, url: str, headers: dict[str, str], body: bytes, *, key_id: str, secret: str,
                   service: str = "firehose", region: str = "us-east-1", when: datetime.datetime | None = None,
                   payload_hash: str | None = None, unsigned: tuple[str, ...] = ()) -> dict[str, str]:
    """`headers` with Host, X-Amz-Date and Authorization. `unsigned` are sent and not signed; `payload_hash`
    takes the place of the body's hash; `when` (UTC) that of now."""
    when = when or datetime.datetime.now(datetime.timezone.utc)
    stamp, day = when.strftime("%Y%m%dT%H%M%SZ"), when.strftime("%Y%m%d")
    parts = urlsplit(url)
    out = {**headers, "Host": parts.netloc, "X-Amz-Date": stamp}
    if payload_hash is not None:
        out["X-Amz-Content-Sha256"] = payload_hash
    names = sorted(name.lower() for name in out if name not in unsigned)
    lower = {name.lower(): " ".join(value.split()) for name, value in out.items()}
    canonical = "\n".join([
        method, quote(parts.path or "/", safe="/-_.~%"), parts.query,
        *[f"{name}:{lower[name]}" for name in names], "", ";".join(names), payload_hash or digest(body)])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest(canonical.encode())])
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request", to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    out["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={';'.join(names)}, "
                            f"Signature={key.hex()}")
    return out
