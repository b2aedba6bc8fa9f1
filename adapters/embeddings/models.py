"""The embedding models of a deployment: the local one, and those of its provider."""

from threading import Lock

from adapters.embeddings.minilm import MODEL, MiniLM
from adapters.embeddings.provider import TIMEOUT_S, ProviderEmbedder
from adapters.openai.client import ProviderClient
from domain.errors import Invalid
from domain.knowledge.ports import Embedder

_MOST = 100


class EmbeddingModels:
    """`domain.knowledge.ports.Embedders`. Nothing is loaded or connected before it is needed.

    `base_url` is that of the provider; None without one. Of a provider on this machine, which serves a chat model as
    a rule, only the `default` is used.
    """

    def __init__(self, base_url: str | None, api_key: str | None, default: str | None, *, takes_any: bool) -> None:
        self.default = default or MODEL
        self._base_url = base_url
        self._key = api_key
        self._takes_any = takes_any
        self._local = MiniLM()
        self._client: ProviderClient | None = None
        self._embedders: dict[str, Embedder] = {MODEL: self._local}
        self._lock = Lock()

    def of(self, model: str) -> Embedder:
        with self._lock:
            if (known := self._embedders.get(model)) is not None:
                return known
            if self._base_url is None or not (self._takes_any or model == self.default):
                reason = f"this deployment embeds with {self.default}"
                raise Invalid(f"model: {reason}", field="model", reason=reason)
            if self._client is None:
                self._client = ProviderClient(self._base_url, self._key, TIMEOUT_S)
            embedder = ProviderEmbedder(self._client, self._key, model)
            if len(self._embedders) < _MOST:
                self._embedders[model] = embedder
            return embedder

    async def aclose(self) -> None:
        """Close connections to the provider."""
        if self._client is not None:
            await self._client.close()
