"""The WebSocket protocol of the server, for uvicorn's setting `ws`."""

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class RefusableSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, for which a handshake that was refused with a response is complete.

    It would log an error for each of them.
    """

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
