"""All settings. No other module reads the environment."""

import os
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from adapters.files.oidc_issuers import load_issuers
from adapters.files.providers import ProvidersFile, load_providers
from adapters.files.risk_policy import load_risk_policy
from domain.errors import Invalid
from runtime.setting_values import (
    USUAL_ANSWER_S,
    AnswerTimes,
    CircuitTrip,
    RateLimit,
    is_signing_key,
    is_webhook_secret,
)

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")


class Settings(BaseSettings):
    """The operator's settings; field by field in `docs/settings.md`."""

    model_config = SettingsConfigDict(
        env_file=None, env_ignore_empty=True, frozen=True, populate_by_name=True, extra="ignore"
    )

    host: str = Field("127.0.0.1", validation_alias="CONVERGIO_HOST")
    port: int = Field(8000, ge=0, le=65535, validation_alias="CONVERGIO_PORT")
    data_dir: Path = Field(Path(".convergio"), validation_alias="CONVERGIO_DATA_DIR")

    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    temporal_address: str | None = Field(None, validation_alias="TEMPORAL_ADDRESS")
    temporal_namespace: str = Field("default", validation_alias="TEMPORAL_NAMESPACE")
    temporal_api_key: SecretStr | None = Field(None, validation_alias="TEMPORAL_API_KEY")
    temporal_tls_ca: Path | None = Field(None, validation_alias="TEMPORAL_TLS_CA")
    temporal_tls_cert: Path | None = Field(None, validation_alias="TEMPORAL_TLS_CERT")
    temporal_tls_key: Path | None = Field(None, validation_alias="TEMPORAL_TLS_KEY")
    temporal_ui_url: str | None = Field(None, validation_alias="TEMPORAL_UI_URL")
    redis_url: str | None = Field(None, validation_alias="REDIS_URL")

    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, validation_alias="OPENAI_BASE_URL")
    providers: Path | None = Field(None, validation_alias="CONVERGIO_PROVIDERS")
    circuit: Annotated[CircuitTrip | None, NoDecode] = Field(
        CircuitTrip((0.5, 20, 60.0)), validation_alias="CONVERGIO_CIRCUIT"
    )
    circuit_open_s: float = Field(30.0, gt=0, le=3600, validation_alias="CONVERGIO_CIRCUIT_OPEN_S")
    model: str | None = Field(None, validation_alias="CONVERGIO_MODEL")
    embedding_model: str | None = Field(None, max_length=200, validation_alias="CONVERGIO_EMBEDDING_MODEL")
    local_model: Path | None = Field(None, validation_alias="CONVERGIO_LOCAL_MODEL")
    model_tools: Literal["auto", "on", "off"] = Field("auto", validation_alias="CONVERGIO_MODEL_TOOLS")
    context_window: int | None = Field(None, ge=512, validation_alias="CONVERGIO_CONTEXT_WINDOW")
    max_answer_tokens: int | None = Field(None, ge=1, validation_alias="CONVERGIO_MAX_ANSWER_TOKENS")
    model_queue: Literal["shared", "own"] = Field("shared", validation_alias="CONVERGIO_MODEL_QUEUE")
    model_concurrency: int = Field(100, ge=1, validation_alias="CONVERGIO_MODEL_CONCURRENCY")
    model_timeout_s: float = Field(120.0, gt=0, validation_alias="CONVERGIO_MODEL_TIMEOUT_S")
    model_longest_s: Annotated[AnswerTimes, NoDecode] = Field(
        AnswerTimes({"": USUAL_ANSWER_S}), validation_alias="CONVERGIO_MODEL_LONGEST_S"
    )
    model_pause_s: float = Field(1.0, gt=0, le=30, validation_alias="CONVERGIO_MODEL_PAUSE_S")
    prices: Path | None = Field(None, validation_alias="CONVERGIO_PRICES")
    text_cache_s: float = Field(10.0, gt=0, le=600, validation_alias="CONVERGIO_TEXT_CACHE_S")
    stream_answers: bool = Field(True, validation_alias="CONVERGIO_STREAM_ANSWERS")
    run_cache_mb: int = Field(100, ge=5, le=100_000, validation_alias="CONVERGIO_RUN_CACHE_MB")

    risk_policy: Path | None = Field(None, validation_alias="CONVERGIO_RISK_POLICY")
    approval_webhook_url: str | None = Field(
        None, pattern=r"^https?://[^\s/]+", validation_alias="CONVERGIO_APPROVAL_WEBHOOK_URL"
    )
    approval_webhook_secret: SecretStr | None = Field(None, validation_alias="CONVERGIO_APPROVAL_WEBHOOK_SECRET")

    signing_key: SecretStr | None = Field(None, validation_alias="CONVERGIO_SIGNING_KEY")

    web_fetch: Literal["on", "off"] = Field("off", validation_alias="CONVERGIO_WEB_FETCH")
    mcp_servers: Path | None = Field(None, validation_alias="CONVERGIO_MCP_SERVERS")

    backup_dir: Path | None = Field(None, validation_alias="CONVERGIO_BACKUP_DIR")
    backup_every_h: float = Field(24.0, gt=0, le=24 * 366, validation_alias="CONVERGIO_BACKUP_EVERY_H")
    backup_keep: int = Field(7, ge=1, le=10_000, validation_alias="CONVERGIO_BACKUP_KEEP")

    ready_file: Path | None = Field(None, validation_alias="CONVERGIO_READY_FILE")
    deployment_version: str | None = Field(None, validation_alias="CONVERGIO_DEPLOYMENT_VERSION")

    telemetry_retention_days: int = Field(30, ge=2, le=3660, validation_alias="CONVERGIO_TELEMETRY_RETENTION_DAYS")

    auth: Literal["off", "keys"] | None = Field(None, validation_alias="CONVERGIO_AUTH")
    admin_key: SecretStr | None = Field(None, validation_alias="CONVERGIO_ADMIN_KEY")
    metrics_key: SecretStr | None = Field(None, validation_alias="CONVERGIO_METRICS_KEY")
    oidc_issuers: SecretStr | None = Field(None, validation_alias="CONVERGIO_OIDC_ISSUERS")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="CONVERGIO_CORS_ORIGINS")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        LOOPBACK_NAMES, validation_alias="CONVERGIO_ALLOWED_HOSTS"
    )
    rate_limit: Annotated[RateLimit | None, NoDecode] = Field(
        RateLimit((100, 60)), validation_alias="CONVERGIO_RATE_LIMIT"
    )
    slo_availability: float = Field(99.9, gt=0, lt=100, validation_alias="CONVERGIO_SLO_AVAILABILITY")
    slo_response_time_s: float = Field(2.0, gt=0, le=3600, validation_alias="CONVERGIO_SLO_RESPONSE_TIME_S")
    slo_error_rate: float = Field(1.0, gt=0, lt=100, validation_alias="CONVERGIO_SLO_ERROR_RATE")
    otlp_endpoint: str | None = Field(
        None, pattern=r"^https?://[^\s/]+", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    metric_export_interval_ms: float = Field(60_000, gt=0, validation_alias="OTEL_METRIC_EXPORT_INTERVAL")
    otlp_headers: SecretStr | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_HEADERS")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", validation_alias="CONVERGIO_LOG_LEVEL")

    @field_validator("cors_origins", "allowed_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("rate_limit", mode="before")
    @classmethod
    def _rate(cls, value: object) -> object:
        return RateLimit.parse(value) if isinstance(value, str) else value

    @field_validator("circuit", mode="before")
    @classmethod
    def _trip(cls, value: object) -> object:
        if isinstance(value, str):
            return CircuitTrip.parse(value)
        return CircuitTrip(value) if isinstance(value, tuple) else value

    @field_validator("model_longest_s", mode="before")
    @classmethod
    def _answer_times(cls, value: object) -> object:
        if isinstance(value, str):
            return AnswerTimes.parse(value)
        return AnswerTimes.of(value) if isinstance(value, dict) else value

    @property
    def signing_secret(self) -> bytes | None:
        """The secret under which the private signing keys are encrypted; None where nothing is signed."""
        return None if self.signing_key is None else b64decode(self.signing_key.get_secret_value())

    @cached_property
    def providers_file(self) -> ProvidersFile | None:
        """The file of model providers; None where OPENAI_BASE_URL and OPENAI_API_KEY name the only one.

        Raises:
            Invalid: it has changed since the start, and cannot be used any more.
        """
        return load_providers(self.providers) if self.providers is not None else None

    @cached_property
    def provider_keys(self) -> Mapping[str, SecretStr]:
        """The keys of the file's providers, by the variable that has each."""
        named = self.providers_file.key_variables if self.providers_file else ()
        return {name: SecretStr(key) for name in named if (key := os.environ.get(name))}

    @property
    def answer_time(self) -> timedelta:
        """The time limit of an answer of a model without a limit of its own."""
        return timedelta(seconds=self.model_longest_s[""])

    @property
    def answer_times(self) -> dict[str, timedelta]:
        """The time limits of answers of models with a limit of their own."""
        return {model: timedelta(seconds=seconds) for model, seconds in self.model_longest_s.items() if model}

    @property
    def longest_answer(self) -> timedelta:
        """The longest time limit of any answer: the timeout of a workflow's model activity."""
        return timedelta(seconds=max(self.model_longest_s.values()))

    @cached_property
    def loopback(self) -> bool:
        """True if the API binds to this machine only."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def auth_on(self) -> bool:
        return self.auth == "keys"

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if self.admin_key is not None and not self.admin_key.get_secret_value().startswith("cvg_"):
            raise ValueError("CONVERGIO_ADMIN_KEY must start with cvg_")
        if self.metrics_key is not None and not self.metrics_key.get_secret_value().startswith("cvg_"):
            raise ValueError("CONVERGIO_METRICS_KEY must start with cvg_")
        if self.metrics_key is not None and self.metrics_key == self.admin_key:
            raise ValueError("CONVERGIO_METRICS_KEY must not be CONVERGIO_ADMIN_KEY: it is to read figures only")
        if self.auth_on and self.admin_key is None:
            raise ValueError("CONVERGIO_AUTH=keys needs CONVERGIO_ADMIN_KEY, the first admin key")
        if not self.loopback and not self.auth_on:
            raise ValueError(f"binding to {self.host} needs CONVERGIO_AUTH=keys: without it anybody could spend money")
        if not self.loopback and "*" in (*self.cors_origins, *self.allowed_hosts):
            raise ValueError("* as CORS origin or host is allowed only while bound to loopback")
        return self

    @field_validator("signing_key", mode="after")
    @classmethod
    def _is_32_bytes(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_signing_key(secret.get_secret_value()):
            raise ValueError("must be the base64 of 32 random bytes, as from: openssl rand -base64 32")
        return secret

    @model_validator(mode="after")
    def _providers_can_be_used(self) -> Self:
        if self.oidc_issuers is None:
            return self
        if not self.auth_on:
            raise ValueError("CONVERGIO_OIDC_ISSUERS needs CONVERGIO_AUTH=keys: without it tokens are ignored")
        try:
            load_issuers(self.oidc_issuers.get_secret_value())
        except Invalid as refusal:
            raise ValueError(f"CONVERGIO_OIDC_ISSUERS: {refusal.message}") from refusal
        return self

    @model_validator(mode="after")
    def _models_can_be_called(self) -> Self:
        if self.providers is None:
            return self
        if self.openai_base_url is not None:
            raise ValueError("OPENAI_BASE_URL cannot be set with CONVERGIO_PROVIDERS: list that provider in the file")
        try:
            if (found := self.providers_file) is not None:
                found.check(self.provider_keys, self.model)
        except Invalid as refusal:
            raise ValueError(f"CONVERGIO_PROVIDERS: {refusal.message}") from refusal
        return self

    @model_validator(mode="after")
    def _approvals_can_be_kept(self) -> Self:
        if self.risk_policy is not None:
            try:
                load_risk_policy(self.risk_policy)
            except Invalid as refusal:
                raise ValueError(f"CONVERGIO_RISK_POLICY: {refusal.message}") from refusal
        secret = self.approval_webhook_secret
        if self.approval_webhook_url is not None and secret is None:
            raise ValueError("CONVERGIO_APPROVAL_WEBHOOK_URL needs CONVERGIO_APPROVAL_WEBHOOK_SECRET, which signs")
        if secret is not None and not is_webhook_secret(secret.get_secret_value()):
            raise ValueError("CONVERGIO_APPROVAL_WEBHOOK_SECRET is whsec_ and the base64 of 24 to 64 random bytes")
        return self
