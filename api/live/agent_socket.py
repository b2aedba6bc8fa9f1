"""The socket on which somebody speaks with an agent."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from api.chat.service import ChatService, new_session_id
from api.http.caller import Caller
from api.live.feeds import StreamPart
from api.live.service import LiveStreams, session_in_tenant
from api.live.socket_frames import MessageFrame, parse_message, to_utterance
from api.live.sockets import Socket
from domain.errors import DomainError, RateLimited

_MOST_WAITING = 20
"""Messages that may wait to be accepted."""
_ALIVE_S = 3600.0  # the server's own pings keep a socket alive


@dataclass(frozen=True, slots=True)
class AgentSocketRequest:
    """The agent, the session to continue if one is named, and the number behind which its frames begin."""

    agent_id: str
    session_id: str | None
    after: int | None
    caller: Caller
    request_id: str


class AgentConversation:
    """Takes messages in order, and shows the frames of one session at a time: the one spoken in last."""

    def __init__(self, socket: Socket, asked: AgentSocketRequest, streams: LiveStreams, chats: ChatService) -> None:
        self._socket = socket
        self._asked = asked
        self._streams = streams
        self._chats = chats
        self._session_id = asked.session_id
        self._after = asked.after
        self._messages: deque[MessageFrame] = deque()
        self._has_message = asyncio.Event()
        self._moved = asyncio.Event()

    async def handle(self, frame: dict[str, Any]) -> None:
        """Take a message.

        Raises:
            domain.errors.Invalid: it is none.
            RateLimited: too many of them wait.
        """
        said = parse_message(frame)
        if len(self._messages) >= _MOST_WAITING:
            raise RateLimited("too many messages wait to be accepted", retry_after=1)
        self._messages.append(said)
        self._has_message.set()

    async def send_messages(self) -> None:
        """Hand over messages as they come. A refusal is told, and the next one goes on."""
        while True:
            await self._has_message.wait()
            self._has_message.clear()
            while self._messages:
                try:
                    await self._send_message(self._messages.popleft())
                except DomainError as refusal:
                    await self._socket.tell_error(refusal)

    async def _send_message(self, said: MessageFrame) -> None:
        session_id = said.wanted_session or self._session_id
        if session_id is None:
            session_id = new_session_id(None)
            self._after = 0
        if session_id != self._session_id:
            if said.wanted_session is not None:
                self._after = None
            self._session_id = session_id
            self._moved.set()
        asked = self._asked
        said_as = to_utterance(
            said, agent_id=asked.agent_id, session_id=session_id, caller=asked.caller, request_id=asked.request_id
        )
        await self._chats.send(said_as, timeout_s=0)

    async def show_frames(self) -> None:
        """Send the frames of the session, and of another one as soon as that is spoken in."""
        while True:
            if self._session_id is None:
                await self._moved.wait()
            self._moved.clear()
            showing = asyncio.create_task(self._show(str(self._session_id), self._after))
            moving = asyncio.create_task(self._moved.wait())
            try:
                await asyncio.wait({showing, moving}, return_when=asyncio.FIRST_COMPLETED)
                if showing.done():
                    showing.result()
                    await moving  # the session has ended; another one may follow
            finally:
                for task in (showing, moving):
                    task.cancel()
                await asyncio.gather(showing, moving, return_exceptions=True)

    async def _show(self, session_id: str, after: int | None) -> None:
        stream = self._streams.new_session(session_in_tenant(self._asked.caller.tenant_id, session_id))
        async for batch in stream.batches(StreamPart(after, follow=True, pause_s=_ALIVE_S)):
            await self._socket.send_batch(batch)
