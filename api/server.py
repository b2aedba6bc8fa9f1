"""The HTTP protocol of the server, for `uvicorn.Config(http=Http)`."""

from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import Failure


class Http(HttpToolsProtocol):
    """As uvicorn speaks it, except that what is no HTTP is refused in the error envelope like everything else."""

    def send_400_response(self, msg: str) -> None:
        request_id = f"req_{uuid4().hex}"
        body = Failure(400, "BAD_REQUEST", msg).body(request_id)
        head = (
            "HTTP/1.1 400 Bad Request",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "x-content-type-options: nosniff",
            "connection: close",
        )
        self.transport.write("\r\n".join((*head, "", "")).encode("ascii") + body)
        self.transport.close()
