"""Settings of the service, from the environment (`SARRAF_*`), with their defaults and limits."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: The ledger in the data folder, where no database is named.
LEDGER_FILE = "ledger.sqlite3"
#: Defaults of times, in seconds.
DELAY_S = 172_800
NOTICE_S = 900
DELAY_S_MAX = 90 * 86_400
#: How far the chain's clock may be behind the host's without a batch being refused as valid for too long.
BATCH_SLACK_S = 60


class Settings(BaseSettings):
    """What can be chosen when the service starts. Everything else is a named constant beside its use."""

    model_config = SettingsConfigDict(env_prefix="SARRAF_", extra="ignore", frozen=True)

    data: Path = Field(default=Path(".sarraf"), description="folder of the ledger, the chain and the keys")
    database_url: SecretStr | None = Field(
        default=None,
        description="the ledger's database, postgresql://user:password@host/name; without it a file in the data folder",
    )
    posting: bool = Field(
        default=True,
        description="whether this process tries to post; `no` makes it serve the API only, beside others that post",
    )
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="port the API listens on; 0 takes a free one")
    public_url: str = Field(
        default="http://localhost:8080",
        pattern=r"^https?://[^/?#\s]+$",
        description="where members meet the service: their wallets show it when they sign in, and no other is accepted",
    )
    rpc_url: str | None = Field(default=None, description="an EVM node; without it an embedded chain is started")
    finality: str | None = Field(
        default=None,
        description="when a block is final: depth:N, safe or finalized; the embedded chain's default is depth:0",
    )
    keystore: Path | None = Field(
        default=None, description="encrypted keystore file; required unless the chain is local"
    )
    keystore_password_file: Path | None = Field(default=None, description="file that holds the keystore's password")
    delay_s: int | None = Field(
        default=None,
        ge=0,
        le=DELAY_S_MAX,
        description="seconds between announcing an admin's call and making it; fixed when the exchange is deployed."
        f" The default is 0 on the embedded chain, {DELAY_S} elsewhere",
    )
    notice_s: int | None = Field(
        default=None,
        ge=1,
        le=DELAY_S_MAX,
        description="seconds between consent to changed terms and their start; fixed when the exchange is deployed."
        f" The default is {NOTICE_S}, or as much more as delay, quotes and batches need",
    )
    cap_period_s: int = Field(
        default=86_400,
        ge=3_600,
        le=DELAY_S_MAX,
        description="seconds of a period of the caps on swaps; fixed when the exchange is deployed",
    )
    quote_life_s: int = Field(default=60, ge=1, le=300, description="seconds for which a quote is firm")
    open_quotes_max: int = Field(
        default=5, ge=1, le=100, description="open quotes of one member, since each reserves part of its terms' caps"
    )
    batch_life_s: int = Field(default=600, ge=5, le=86_400, description="seconds after which the chain refuses a batch")
    batch_linger_ms: int = Field(
        default=150, ge=0, le=60_000, description="how long an operation waits for company in its batch"
    )
    block_interval_ms: int = Field(
        default=1000, ge=1, le=60_000, description="least time between two blocks of the embedded chain"
    )
    replace_after_s: int = Field(
        default=30,
        ge=1,
        le=86_400,
        description="seconds that a transaction may wait while blocks are mined before it is replaced by higher fees",
    )
    fee_max_gwei: int = Field(
        default=500,
        ge=1,
        le=1_000_000,
        description="the most that one unit of gas may cost; nothing is signed above it",
    )
    low_funds_wei: int = Field(
        default=10**16, ge=0, description="gas money of a signing account below which its lane tells `low-funds`"
    )
    lane_funds_wei: int = Field(
        default=10**18, ge=0, description="what a new signing account receives where it has nothing"
    )
    settlement_currency: str = Field(
        default="USD",
        pattern="^[A-Z]{3}$",
        description="ISO 4217 code of the currency of positions and prices; fixed when the exchange is deployed",
    )
    fx_file: Path | None = Field(
        default=None,
        description="TOML file of fixed rates of exchange, asked before the ECB's: pegs, and what the ECB lacks",
    )
    fx_age_max_days: int | None = Field(
        default=None,
        ge=0,
        le=36_500,
        description="days after which the ECB's last rate is too old to be used; by default it never is",
    )
    requests_per_second: int = Field(default=2000, ge=1, le=1_000_000, description="rate limit of one API key")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def ledger_url(self) -> str:
        """Where the ledger is; holds the password of a server, so it is shown to nobody."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data / LEDGER_FILE}"

    @property
    def delay(self) -> int:
        """Seconds between announcing an admin's call and making it."""
        if self.delay_s is not None:
            return self.delay_s
        return 0 if self.rpc_url is None else DELAY_S

    @property
    def longest_batch_s(self) -> int:
        """How far ahead of the chain's clock a batch may be valid."""
        return self.batch_life_s + BATCH_SLACK_S

    @property
    def notice_least(self) -> int:
        """The shortest notice that neither breaks a firm quote nor undercuts the delay."""
        return max(self.quote_life_s + self.longest_batch_s, self.delay)

    @property
    def notice(self) -> int:
        """Seconds between consent to changed terms and their start."""
        return max(NOTICE_S, self.notice_least) if self.notice_s is None else self.notice_s

    @model_validator(mode="after")
    def _notice_is_long_enough(self) -> "Settings":
        if self.notice < self.notice_least:
            raise ValueError(
                f"notice_s is {self.notice}; a quote lives {self.quote_life_s} s, its batch {self.batch_life_s} s with"
                f" {BATCH_SLACK_S} s for clocks that differ, and announced calls wait {self.delay} s: a shorter notice"
                f" could break a firm quote; the least valid value is {self.notice_least}"
            )
        return self
