"""Settings of the service, from the environment (`SARRAF_*`), with their defaults and limits."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be chosen when the service starts. Everything else is a named constant beside its use."""

    model_config = SettingsConfigDict(env_prefix="SARRAF_", extra="ignore", frozen=True)

    data: Path = Field(default=Path(".sarraf"), description="folder of the ledger, the chain and the keys")
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="port the API listens on; 0 takes a free one")
    rpc_url: str | None = Field(default=None, description="an EVM node; without it an embedded chain is started")
    finality: str | None = Field(
        default=None,
        description="when a block is final: depth:N, safe or finalized; the embedded chain's default is depth:0",
    )
    keystore: Path | None = Field(
        default=None, description="encrypted keystore file; required unless the chain is local"
    )
    keystore_password_file: Path | None = Field(default=None, description="file that holds the keystore's password")
    notice_s: int = Field(
        default=900,
        ge=1,
        le=90 * 86_400,
        description="seconds between consent to changed terms and their start",
    )
    quote_life_s: int = Field(default=60, ge=1, le=300, description="seconds for which a quote is firm")
    batch_life_s: int = Field(default=600, ge=5, le=86_400, description="seconds after which the chain refuses a batch")
    batch_linger_ms: int = Field(
        default=150, ge=0, le=60_000, description="how long an operation waits for company in its batch"
    )
    block_interval_ms: int = Field(
        default=1000, ge=1, le=60_000, description="least time between two blocks of the embedded chain"
    )
    lane_funds_wei: int = Field(
        default=10**18, ge=0, description="what a new signing account receives where it has nothing"
    )
    requests_per_second: int = Field(default=2000, ge=1, le=1_000_000, description="rate limit of one API key")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _notice_outlasts_quotes(self) -> "Settings":
        least = self.quote_life_s + self.batch_life_s
        if self.notice_s < least:
            raise ValueError(
                f"notice_s is {self.notice_s}, a quote lives {self.quote_life_s} s and its batch {self.batch_life_s} s:"
                f" a rate change could break a firm quote; the least valid value is {least}"
            )
        return self
