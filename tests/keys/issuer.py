"""An identity provider whose keys and tokens the test makes itself, over HTTP."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwk
from joserfc.jws import JWSRegistry, serialize_compact

JWKS = "/keys"
KINDS: dict[str, tuple[str, Any]] = {
    "RS": ("RSA", 2048),
    "PS": ("RSA", 2048),
    "ES": ("EC", "P-256"),
    "Ed": ("OKP", "Ed25519"),
}


class _Rules(JWSRegistry):
    """Signs with anything."""

    def get_alg(self, name: str) -> Any:
        return self.algorithms[name]


def a_key(algorithm: str = "RS256", key_id: str = "one", size: Any = None) -> Any:
    kind, usual = KINDS[algorithm[:2]]
    return jwk.generate_key(kind, size or usual, {"kid": key_id})


def text_of(part: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


@dataclass
class Issuer:
    """The provider: what it publishes, and how often it was asked for its keys."""

    url: str = ""
    published: list[Any] = field(default_factory=list)
    description: dict[str, Any] = field(default_factory=dict)
    answer: bytes | None = None
    fetched: int = 0
    redeemed: list[dict[str, list[str]]] = field(default_factory=list)
    given: tuple[int, Any] = (400, {"error": "invalid_grant"})

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time())
        usual = {"iss": self.url, "sub": "ada", "aud": "convergio", "iat": now, "exp": now + 60, "scope": "read write"}
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(self, key: Any, algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
        head = {"alg": algorithm, "kid": key.kid, **(header or {})}
        payload = json.dumps(self.claims(**changes)).encode()
        return serialize_compact(head, payload, key, registry=_Rules(strict_check_header=False))

    def respond(self, path: str) -> bytes:
        if self.answer is not None:
            return self.answer
        if path == JWKS:
            self.fetched += 1
            keys = [key.as_dict(private=False) if hasattr(key, "as_dict") else key for key in self.published]
            return json.dumps({"keys": keys}).encode()
        return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}{JWKS}", **self.description}).encode()


@contextmanager
def serving(issuer: Issuer, port: int = 0) -> Iterator[Issuer]:
    """The provider listens for the block; afterwards its address refuses connections."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, issuer.respond(self.path))

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"])).decode()
            issuer.redeemed.append({**parse_qs(sent), "authorization": [self.headers.get("authorization", "")]})
            code, given = issuer.given
            self._send(code, json.dumps(given).encode())

        def _send(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
