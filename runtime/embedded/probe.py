"""The HTTP readiness probe."""

import http.client
from contextlib import closing


def answers_http(port: int, path: str, host: str = "127.0.0.1", *, name: str | None = None) -> bool:
    """Return True if a server answers a GET with 200 within a second, under this host name. Proxies are bypassed."""
    with closing(http.client.HTTPConnection(host, port, timeout=1)) as connection:
        try:
            connection.request("GET", path, headers={"Host": name or f"localhost:{port}"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
