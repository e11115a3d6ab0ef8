"""What can go wrong between the service and its chain.

    Unavailable (a SarrafError)
      ChainError                 anything below; catch this to mean "the chain side failed"
        ChainUnreachable         no answer, or none that is JSON-RPC: try again later
        RpcRefused               the node answered with an error: its code, message and revert data
        WrongChain               the node serves another chain than the one asked for
        FinalityUnknown          a finality rule that nobody defined
        KeystoreError
          KeystoreMissing        no keystore file at the path
          KeystoreExists         a keystore file is there already, and is never overwritten
          KeystoreLocked         the password is wrong, or the file is not a keystore
          KeysRefused            publicly known keys on a chain that is not a local one
        EmbeddedChainError       only the embedded chain raises these
          AnvilMissing           no native anvil was found
          ChainInUse             another process runs the chain in this directory
          ChainChanged           the directory was made by another anvil or with other flags
          ChainCannotStart       anvil ended or stayed silent
          ChainCannotRestore     replaying the journal gave another block than the journal says

Whoever talks to the chain catches `ChainUnreachable` and `RpcRefused`; the others stop the service's start.
"""

from typing import ClassVar

from bridge.chain.messages import Meaning, meaning_of
from exchange.errors import Unavailable


class ChainError(Unavailable):
    """Raised when the chain side of the service cannot do what was asked."""

    type: ClassVar[str] = "chain-error"


class ChainUnreachable(ChainError):
    """Raised when the node refuses the connection, is silent for too long, or does not speak JSON-RPC."""

    type: ClassVar[str] = "chain-unreachable"


class RpcRefused(ChainError):
    """Raised when the node answers a request with a JSON-RPC error.

    `code` and `message` are the node's own; `data` is the revert data when the node gave any. `meaning` is what the
    table of node messages makes of them.
    """

    type: ClassVar[str] = "rpc-refused"

    def __init__(self, code: int, message: str, data: bytes | None = None, *, method: str = "request") -> None:
        super().__init__(f"The chain's node refused {method}: {message} (code {code}).")
        self.code = code
        self.message = message
        self.data = data
        self.method = method

    @property
    def meaning(self) -> Meaning:
        """What the refusal means, whichever node it came from; UNKNOWN when the table does not say."""
        return meaning_of(self.code, self.message)

    @property
    def reverted(self) -> bool:
        """Whether the contract said no to a call, and not the node: by what was said, or by the revert data."""
        return self.meaning is Meaning.REVERTED or (self.meaning is Meaning.UNKNOWN and self.data is not None)


class WrongChain(ChainError):
    """Raised when the node serves another chain id than the one that the service was told to use."""

    type: ClassVar[str] = "wrong-chain"


class FinalityUnknown(ChainError):
    """Raised when a finality rule is neither `depth:N`, `safe` nor `finalized`."""

    type: ClassVar[str] = "finality-unknown"


class KeystoreError(ChainError):
    """Raised when the signing keys cannot be used."""

    type: ClassVar[str] = "keystore-error"


class KeystoreMissing(KeystoreError):
    """Raised when there is no keystore file at the path."""

    type: ClassVar[str] = "keystore-missing"


class KeystoreExists(KeystoreError):
    """Raised when a keystore would be created over an existing file."""

    type: ClassVar[str] = "keystore-exists"


class KeystoreLocked(KeystoreError):
    """Raised when the password does not open the keystore, or the file is no keystore."""

    type: ClassVar[str] = "keystore-locked"


class KeysRefused(KeystoreError):
    """Raised when publicly known keys are asked to sign for a chain that is not a local one."""

    type: ClassVar[str] = "keys-refused"


class EmbeddedChainError(ChainError):
    """Raised when the embedded chain cannot run."""

    type: ClassVar[str] = "embedded-chain-error"


class AnvilMissing(EmbeddedChainError):
    """Raised when no native anvil binary can be found."""

    type: ClassVar[str] = "anvil-missing"


class ChainInUse(EmbeddedChainError):
    """Raised when another process already runs the chain that lives in this directory."""

    type: ClassVar[str] = "chain-in-use"


class ChainChanged(EmbeddedChainError):
    """Raised when the chain was made by another anvil, or with flags that give other block hashes."""

    type: ClassVar[str] = "chain-changed"


class ChainCannotStart(EmbeddedChainError):
    """Raised when anvil ends or stays silent instead of answering its first request."""

    type: ClassVar[str] = "chain-cannot-start"


class ChainCannotRestore(EmbeddedChainError):
    """Raised when the chain cannot be brought back to what the journal says.

    `number` is the block, `expected` the journal's hash, `got` the chain's (None: no such block).
    """

    type: ClassVar[str] = "chain-cannot-restore"

    def __init__(self, why: str, *, number: int, expected: bytes | None = None, got: bytes | None = None) -> None:
        named = {"expected": expected, "got": got}
        hashes = ", ".join(f"{name} 0x{value.hex()}" for name, value in named.items() if value is not None)
        super().__init__(f"The chain cannot be restored at block {number}: {why}{f' ({hashes})' if hashes else ''}.")
        self.number = number
        self.expected = expected
        self.got = got
