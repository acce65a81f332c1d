"""Read the settings. Only the composition root and the command line do; everybody else is handed values."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field, HttpUrl, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hansard.database.dialects.base import POOL_SIZE
from hansard.database.roles import DEFAULT_ROLE
from hansard.errors import ConfigurationError
from hansard.models.limits import ITEM_BYTES
from hansard.models.search import LANGUAGE, SearchMode, SearchSettings


def _split(names: object) -> object:
    return tuple(name.strip() for name in names.split(",") if name.strip()) if isinstance(names, str) else names


_RATE: Final = re.compile(r"[1-9][0-9]{0,8}/(second|minute|hour|day)( burst [1-9][0-9]{0,8})?")
_ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# Comma-separated in the environment; left alone, pydantic would want JSON there.
Names: TypeAlias = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Hold every setting; each comes from the environment variable of the same name, in capitals.

    Names without a common meaning carry the prefix ``HANSARD_``. An empty variable counts as one that is not set.
    """

    model_config = SettingsConfigDict(env_prefix="HANSARD_", env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: SecretStr = Field(
        SecretStr("sqlite:///hansard.db"),
        validation_alias="DATABASE_URL",
        description="Where everything is kept: `sqlite:///path/to/file.db` (relative to the working directory, "
        "`sqlite:////` for an absolute path) or any PostgreSQL URL, such as the one a provider shows.",
    )
    database_url_direct: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL_DIRECT",
        description="The same database without a pooler in between, for migrations. Unset: `DATABASE_URL`.",
    )
    database_role: str = Field(
        DEFAULT_ROLE,
        min_length=1,
        max_length=63,
        description="PostgreSQL: the role that every transaction takes, so that row-level security binds whatever "
        "login `DATABASE_URL` names. `hansard db upgrade` makes it where it is missing; for a role other than "
        "the one before, it prints the grants that the owner must run.",
    )
    database_pool_size: int = Field(
        POOL_SIZE, ge=1, le=1000, description="PostgreSQL: the most connections of one process."
    )
    database_prepare: bool = Field(
        default=False,
        description="PostgreSQL: whether statements stay prepared on connections. Faster, and right only where "
        "`DATABASE_URL` reaches the server directly: a pooler would hand them to somebody else.",
    )
    jwt_secret_key: SecretStr | None = Field(
        None,
        validation_alias="JWT_SECRET_KEY",
        description="What tokens are signed with: at least 32 bytes, shared with whoever issues them. Unset: the "
        "embedded single-user mode, on SQLite and on this machine only.",
    )
    jwt_algorithm: Literal["HS256"] = Field(
        "HS256", validation_alias="JWT_ALGORITHM", description="How tokens are signed: `HS256`."
    )
    jwks_url: str | None = Field(
        None,
        description="Where the provider that signs people in publishes its public keys (Better Auth: "
        "`…/api/auth/jwks`); https, or http on this machine. In place of `JWT_SECRET_KEY`, for EdDSA, ES256 and RS256.",
    )
    jwt_issuer: str | None = Field(
        None, description="With `HANSARD_JWKS_URL`, required: what `iss` must be in every token."
    )
    jwt_audience: str | None = Field(
        None, description="With `HANSARD_JWKS_URL`, required: what `aud` must name in every token."
    )
    provision_users: bool = Field(
        default=True,
        description="Whether a user whom the database does not know is made on the first write. "
        "Off: such a write is refused with 403.",
    )
    max_item_bytes: int = Field(
        ITEM_BYTES,
        ge=64 * 1024,
        le=64 * 1024 * 1024,
        description="The limit of one item, in bytes of its compact UTF-8 JSON. A request body may hold twenty such.",
    )
    body_seconds: float = Field(
        60, gt=0, le=3600, description="How long a request's body may take to arrive, in seconds. Later it is 408."
    )
    answer_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        description="How long an answer may take to begin, once the body is there, in seconds. Then the request is "
        "stopped, and its 503 says whether anything was written. Streams are not cut, and turns take their time.",
    )
    rate_limit: str | None = Field(
        None,
        description="How many requests each user may make, such as `600/minute` or `600/minute burst 50` (50 at once, "
        "and 600 a minute in the long run). Every process counts by itself. Unset: no limit.",
    )
    cors_origins: Names | None = Field(
        None,
        description="The origins whose pages may call the API from a browser, comma-separated, such as "
        "`https://chat.example.com`. They send an API key; cookies never count for them. Unset: none.",
    )
    search: SearchMode = Field(
        "words",
        description="What is indexed for search: `words`, `words+substring` (also parts of words, Chinese and "
        "Japanese, code; the index is larger than the text) or `off`. See `hansard db search`.",
    )
    search_language: str = Field(
        "simple",
        pattern=LANGUAGE.pattern,
        max_length=31,
        description="In which language words have forms, on PostgreSQL: a text search configuration, such as "
        "`english`. `simple` takes words as they are.",
    )
    page: bool = Field(
        default=True,
        description="Whether the chat page is served at `/`: in embedded mode, and with `HANSARD_SESSION_COOKIE`.",
    )
    session_cookie: str | None = Field(
        None,
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
        description="The name of the cookie in which the application that signs people in hands their token to the "
        "page. Unset: with `JWT_SECRET_KEY` there is no page.",
    )
    sign_in_url: HttpUrl | None = Field(
        None, description="Where the page sends people whose session has ended: an address of that application."
    )
    lease_seconds: float = Field(
        15,
        ge=1,
        le=600,
        description="How long a running turn is its process' own after each sign of life. When a process dies, its "
        "conversations are free again after this many seconds.",
    )
    batch_seconds: float = Field(
        0.25,
        gt=0,
        le=5,
        description="How long what an agent says may wait to be stored: the most of a running answer, in seconds, that "
        "a crash can cost.",
    )
    batch_bytes: int = Field(
        4096, ge=1, le=1024 * 1024, description="Or how much of it, in bytes of its events, whichever comes first."
    )
    events_kept_hours: float = Field(
        24,
        gt=0,
        le=24 * 365,
        description="How long the events of a response are kept for clients that come back to its stream. The response "
        "itself is kept without limit.",
    )
    idempotency_hours: float = Field(
        24,
        ge=1,
        le=24 * 365,
        description="How long an `Idempotency-Key` stands for its request, and the answer is kept with it. Later the "
        "same key is a new one.",
    )
    conflict_wait_seconds: float = Field(
        30,
        ge=0,
        le=600,
        description="How long a request with `X-Hansard-On-Conflict: wait` waits for the turn before it.",
    )
    shutdown_grace_seconds: float = Field(
        10,
        ge=0,
        le=600,
        description="How long running turns may go on when the server is stopped; what is said until then is kept.",
    )
    offline_pace_seconds: float = Field(
        0.02, ge=0, le=5, description="The pause between two words of the offline assistant."
    )
    upstream_base_url: HttpUrl | None = Field(
        None,
        description="Where models are served: what stands before `/responses` or `/chat/completions`, such as "
        "`https://models.example.com/v1`. Unset: there is only the offline assistant. `OPENAI_BASE_URL` and "
        "`OPENAI_API_KEY` are not read: people set those to reach this service.",
    )
    upstream_api_key: SecretStr | None = Field(None, description="The key that server wants. Unset: none is sent.")
    upstream_models: Names | None = Field(
        None,
        validate_default=True,
        description="The models that users may ask for, comma-separated, by the names that server knows them by. The "
        "first answers where a request names none.",
    )
    upstream_api: Literal["auto", "responses", "chat"] = Field(
        "auto",
        description="What that server speaks: the Responses API (`responses`), Chat Completions (`chat`), or `auto`: "
        "the first, and the second where the first is missing.",
    )
    upstream_hosted_tools: Names | None = Field(
        None,
        description="The types of tools that users may let that server run, comma-separated, such as "
        "`web_search,mcp`. Unset: none, since such tools cost, and can carry a conversation elsewhere.",
    )
    upstream_connect_seconds: float = Field(
        10, gt=0, le=300, description="How long it may take to reach that server, in seconds."
    )
    upstream_first_byte_seconds: float = Field(
        300, gt=0, le=3600, description="How long it may take to begin its answer."
    )
    upstream_silence_seconds: float = Field(
        120, gt=0, le=3600, description="How long it may be silent in the middle of an answer; pings count."
    )
    upstream_total_seconds: float = Field(
        1800, gt=0, le=24 * 3600, description="How long an answer may take as a whole, with every use of tools."
    )
    history_items: int = Field(
        200, ge=1, le=10_000, description="How many items of a conversation a model is shown, the newest."
    )
    history_tokens: int = Field(
        100_000,
        ge=256,
        le=10_000_000,
        description="And how many tokens at most, estimated as three bytes each. What is cut off is never half of a "
        "tool's use. Leave room for the answer in the model's context window.",
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="The bearer token with which Prometheus may read `/metrics`. Unset: there is no such page. Needs "
        "the extra `metrics`.",
    )
    tracing: bool = Field(
        default=False,
        description="Whether traces are sent to an OpenTelemetry collector; where it is, and all else, is told by the "
        "standard variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. Needs the extra `otel`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="The least that is logged; `INFO` writes one line for each request."
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("rate_limit")
    @classmethod
    def _as_so_many_a_time(cls, limit: str | None) -> str | None:
        if limit is not None and not _RATE.fullmatch(limit):
            raise ValueError("must look like 600/minute or 600/minute burst 50; second, hour and day are known too")
        return limit

    @field_validator("cors_origins")
    @classmethod
    def _spelled_as_browsers_do(cls, origins: Names | None) -> Names | None:
        for origin in origins or ():
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("each must be scheme, host and port alone, in small letters, as browsers send them")
        return origins

    @field_validator("upstream_base_url")
    @classmethod
    def _only_a_place(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url is not None and (url.username or url.password or url.query or url.fragment):
            raise ValueError("only scheme, host, port and path; the key has a setting of its own")
        return url

    @field_validator("upstream_models")
    @classmethod
    def _with_a_place(cls, models: Names | None, info: ValidationInfo) -> Names | None:
        if (info.data.get("upstream_base_url") is None) != (not models):
            raise ValueError("it goes together with HANSARD_UPSTREAM_BASE_URL: set both or none")
        return models

    @property
    def migration_url(self) -> str:
        """Return the URL that migrations use."""
        return (self.database_url_direct or self.database_url).get_secret_value()

    @property
    def search_settings(self) -> SearchSettings:
        """Return what is indexed and searched."""
        return SearchSettings(self.search, self.search_language)


def load_settings() -> Settings:
    """Return the settings of this process; raises `ConfigurationError`, which repeats no value."""
    try:
        return Settings()
    except ValidationError as error:
        # Pydantic puts this before what our own validators say.
        problems = [
            f"{environment_name(str(fault['loc'][0]))}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise ConfigurationError("; ".join(problems)) from None


def environment_name(field: str) -> str:
    """Return the environment variable of a field."""
    found = Settings.model_fields.get(field)
    alias = found.validation_alias if found else field
    return alias if isinstance(alias, str) else f"HANSARD_{field.upper()}"
