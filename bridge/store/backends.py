"""Which database holds a ledger: said by its URL, and known nowhere else."""

from bridge.store.database import Database
from bridge.store.postgres import PostgresDatabase
from bridge.store.sqlite import SqliteDatabase
from exchange.errors import Invalid

SQLITE, POSTGRES = "sqlite:///", "postgresql://"


class DatabaseUnknown(Invalid):
    """Raised when a URL names no database that can hold a ledger."""

    type = "database-unknown"


def open_database(url: str) -> Database:
    """The ledger at this URL, as it is: `migrate()` brings it to this version's schema. Raises DatabaseUnknown."""
    if url.startswith(SQLITE):
        return SqliteDatabase(url)
    if url.startswith(POSTGRES):
        return PostgresDatabase(url)
    raise DatabaseUnknown(
        f"a ledger is in SQLite ({SQLITE}/data/ledger.sqlite3) or in PostgreSQL ({POSTGRES}user@host/name)",
        field="SARRAF_DATABASE_URL",
    )
