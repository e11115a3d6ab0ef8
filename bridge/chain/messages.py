"""What nodes say when they refuse a request, and what it means: one table, with the source of every line.

The specification leaves error texts to each node (EIP-1474 fixes only some codes), so they are told apart by what each
node and provider is known to say. docs/node-messages.md shows the table. A message that fits no line means `UNKNOWN`,
and nothing may be concluded from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

BLANK: Final = "{}"
"""Stands in a text for what differs from one answer to the next: numbers, hashes, the node's own detail."""

MESSAGE_CHARS_MAX: Final = 2_000
"""How much of a message is read: no known one is longer, and a provider may send a page."""


class Meaning(StrEnum):
    """What a refusal means, whichever node said it."""

    ALREADY_KNOWN = "already-known"
    NONCE_TOO_LOW = "nonce-too-low"
    NONCE_GAP = "nonce-gap"
    UNDERPRICED = "underpriced"
    REPLACEMENT_UNDERPRICED = "replacement-underpriced"
    FEE_BELOW_BASE = "fee-below-base"
    TIP_ABOVE_FEE = "tip-above-fee"
    FEE_CAP = "fee-cap"
    INSUFFICIENT_FUNDS = "insufficient-funds"
    INTRINSIC_GAS = "intrinsic-gas"
    GAS_LIMIT = "gas-limit"
    POOL_FULL = "pool-full"
    OVERSIZED = "oversized"
    REVERTED = "reverted"
    RANGE_TOO_WIDE = "range-too-wide"
    RESULT_TOO_LARGE = "result-too-large"
    TIMED_OUT = "timed-out"
    RATE_LIMITED = "rate-limited"
    BLOCK_NOT_FOUND = "block-not-found"
    STATE_UNAVAILABLE = "state-unavailable"
    SYNCING = "syncing"
    UNSUPPORTED = "unsupported"
    UNKNOWN = "unknown"


EXPLAINED: Final[dict[Meaning, str]] = {
    Meaning.ALREADY_KNOWN: "The node has exactly this transaction already. It counts as sent.",
    Meaning.NONCE_TOO_LOW: (
        "Some transaction with this nonce is in a block: ours, an attempt that was replaced, or a stranger's. Only the "
        "blocks tell."
    ),
    Meaning.NONCE_GAP: "An earlier nonce is missing at the node. The earlier stored bytes are sent again first.",
    Meaning.UNDERPRICED: "The fee is below what this node's pool takes now. A replacement with a higher fee is due.",
    Meaning.REPLACEMENT_UNDERPRICED: (
        "Another transaction with this nonce waits in the pool, and this one does not offer enough to take its place."
    ),
    Meaning.FEE_BELOW_BASE: "The most that was offered is less than the base fee. A replacement with more is due.",
    Meaning.TIP_ABOVE_FEE: "The tip is higher than the whole fee: the transaction was made wrongly.",
    Meaning.FEE_CAP: "The fee is above a ceiling that this node's operator set. Sending it again will not help.",
    Meaning.INSUFFICIENT_FUNDS: "The signer's account cannot pay for the gas. It must be funded.",
    Meaning.INTRINSIC_GAS: "The gas limit does not even pay for the call data: the transaction was made wrongly.",
    Meaning.GAS_LIMIT: "The gas limit is above what a block, or one transaction (EIP-7825), may use.",
    Meaning.POOL_FULL: "The node's pool has no room, in all or for this sender. It is sent again later.",
    Meaning.OVERSIZED: "The transaction is larger than the node takes.",
    Meaning.REVERTED: "The contract refused the call, or the call failed in the virtual machine.",
    Meaning.RANGE_TOO_WIDE: "Logs of too many blocks were asked for at once. The range is halved.",
    Meaning.RESULT_TOO_LARGE: "The answer would be too large. The range is halved.",
    Meaning.TIMED_OUT: "The node took too long. A range of logs is halved; anything else is asked again.",
    Meaning.RATE_LIMITED: "Too many requests for now, or for the plan that was paid for. It is asked again later.",
    Meaning.BLOCK_NOT_FOUND: "The node does not have this block: it lags, or a reorganisation took the block away.",
    Meaning.STATE_UNAVAILABLE: "The node no longer keeps the state, or the history, of so old a block.",
    Meaning.SYNCING: "The node is not ready: it still synchronises or builds its index.",
    Meaning.UNSUPPORTED: "The node does not offer this method.",
    Meaning.UNKNOWN: "Not in the table. Nothing is concluded from it.",
}

TOO_MANY_LOGS: Final = frozenset({Meaning.RANGE_TOO_WIDE, Meaning.RESULT_TOO_LARGE, Meaning.TIMED_OUT})
"""Refusals of a range of logs after which a narrower range may be answered."""


@dataclass(frozen=True, slots=True)
class NodeMessage:
    """One line of the table: what a node or provider says, with `BLANK` for what varies.

    `code` is the JSON-RPC error code that comes with it, None where it varies; `status` is the HTTP status.
    `source` names where the text stands: a repository and a file in it, an issue with a transcript, or a page.
    """

    node: str
    text: str
    code: int | None
    meaning: Meaning
    source: str
    status: int = 200

    def example(self) -> str:
        """The message as it might arrive."""
        return self.text.replace(BLANK, "1000")


_GETH_POOL: Final = "ethereum/go-ethereum core/txpool/errors.go"
_GETH_CORE: Final = "ethereum/go-ethereum core/error.go"
_GETH_API: Final = "ethereum/go-ethereum internal/ethapi/api.go"
_GETH_BACKEND: Final = "ethereum/go-ethereum eth/api_backend.go"
_GETH_FILTERS: Final = "ethereum/go-ethereum eth/filters/api.go"
_GETH_RPC: Final = "ethereum/go-ethereum rpc/errors.go"
_GETH_VM: Final = "ethereum/go-ethereum core/vm/errors.go"
_ERIGON_POOL: Final = "erigontech/erigon txnprovider/txpool/txpoolcfg/txpoolcfg.go"
_ERIGON_LOGS: Final = "erigontech/erigon rpc/jsonrpc/eth_receipts.go"
_NETHERMIND_POOL: Final = "NethermindEth/nethermind src/Nethermind/Nethermind.TxPool/TxPoolErrorMessages.cs"
_NETHERMIND_TX: Final = "NethermindEth/nethermind src/Nethermind/Nethermind.Core/Messages/TxErrorMessages.cs"
_BESU: Final = (
    "hyperledger/besu ethereum/api/src/main/java/org/hyperledger/besu/ethereum/api/jsonrpc/internal/response/"
    "RpcErrorType.java"
)
_RETH: Final = "paradigmxyz/reth crates/rpc/rpc-eth-types/src/error/mod.rs"
_RETH_FILTER: Final = "paradigmxyz/reth crates/rpc/rpc/src/eth/filter.rs"
_ANVIL: Final = "foundry-rs/foundry crates/anvil/src/eth/error/mod.rs"
_HARDHAT_POOL: Final = "NomicFoundation/edr crates/mem_pool/src/lib.rs"
_HARDHAT: Final = "NomicFoundation/edr crates/edr_provider/src/error.rs"
_PONDER: Final = "ponder-sh/ponder packages/utils/src/getLogsRetryHelper.ts"

_M: Final = Meaning

MESSAGES: Final[tuple[NodeMessage, ...]] = (
    # -- geth ---------------------------------------------------------------------------------
    NodeMessage("geth", "already known", -32000, _M.ALREADY_KNOWN, _GETH_POOL),
    NodeMessage("geth", "nonce too low: next nonce {}, tx nonce {}", -32000, _M.NONCE_TOO_LOW, _GETH_CORE),
    NodeMessage("geth", "nonce too high: tx nonce {}, gapped nonce {}", -32000, _M.NONCE_GAP, _GETH_CORE),
    NodeMessage("geth", "transaction underpriced", -32000, _M.UNDERPRICED, _GETH_POOL),
    NodeMessage(
        "geth",
        "transaction gas price below minimum: gas tip cap {}, minimum needed {}",
        -32000,
        _M.UNDERPRICED,
        _GETH_POOL,
    ),
    NodeMessage("geth", "replacement transaction underpriced", -32000, _M.REPLACEMENT_UNDERPRICED, _GETH_POOL),
    NodeMessage(
        "geth",
        "future transaction tries to replace pending",
        -32000,
        _M.POOL_FULL,
        "ethereum/go-ethereum core/txpool/legacypool/legacypool.go",
    ),
    NodeMessage(
        "geth", "txpool is full", -32000, _M.POOL_FULL, "ethereum/go-ethereum core/txpool/legacypool/legacypool.go"
    ),
    NodeMessage("geth", "account limit exceeded: pooled {} txs", -32000, _M.POOL_FULL, _GETH_POOL),
    NodeMessage("geth", "in-flight transaction limit reached for delegated accounts", -32000, _M.POOL_FULL, _GETH_POOL),
    NodeMessage("geth", "exceeds block gas limit", -32000, _M.GAS_LIMIT, _GETH_POOL),
    NodeMessage("geth", "transaction gas limit too high (cap: {}, tx: {})", -32000, _M.GAS_LIMIT, _GETH_CORE),
    NodeMessage("geth", "oversized data: transaction size {}, limit {}", -32000, _M.OVERSIZED, _GETH_POOL),
    NodeMessage("geth", "max initcode size exceeded", -32000, _M.OVERSIZED, _GETH_VM),
    NodeMessage(
        "geth",
        "insufficient funds for gas * price + value: balance {}, tx cost {}, overshot {}",
        -32000,
        _M.INSUFFICIENT_FUNDS,
        _GETH_CORE,
    ),
    NodeMessage("geth", "insufficient funds for transfer", -32000, _M.INSUFFICIENT_FUNDS, _GETH_CORE),
    NodeMessage("geth", "intrinsic gas too low: gas {}, minimum needed {}", -32000, _M.INTRINSIC_GAS, _GETH_CORE),
    NodeMessage("geth", "insufficient gas for floor data gas cost", -32000, _M.INTRINSIC_GAS, _GETH_CORE),
    NodeMessage("geth", "max fee per gas less than block base fee", -32000, _M.FEE_BELOW_BASE, _GETH_CORE),
    NodeMessage("geth", "max priority fee per gas higher than max fee per gas", -32000, _M.TIP_ABOVE_FEE, _GETH_CORE),
    NodeMessage("geth", "tx fee ({} ether) exceeds the configured cap ({} ether)", -32000, _M.FEE_CAP, _GETH_API),
    NodeMessage("geth", "execution reverted", 3, _M.REVERTED, _GETH_VM),
    NodeMessage("geth", "out of gas", -32000, _M.REVERTED, _GETH_VM),
    NodeMessage("geth", "invalid opcode: {}", -32000, _M.REVERTED, _GETH_VM),
    NodeMessage("geth", "invalid jump destination", -32000, _M.REVERTED, _GETH_VM),
    NodeMessage("geth", "stack underflow", -32000, _M.REVERTED, _GETH_VM),
    NodeMessage(
        "geth",
        "gas required exceeds allowance ({})",
        -32000,
        _M.REVERTED,
        "ethereum/go-ethereum eth/gasestimator/gasestimator.go",
    ),
    NodeMessage(
        "geth", "exceed maximum block range {}", -32602, _M.RANGE_TOO_WIDE, "ethereum/go-ethereum eth/filters/filter.go"
    ),
    NodeMessage("geth", "response too large", -32003, _M.RESULT_TOO_LARGE, _GETH_RPC),
    NodeMessage("geth", "request timed out", -32002, _M.TIMED_OUT, _GETH_RPC),
    NodeMessage("geth", "execution aborted (timeout = {})", -32000, _M.TIMED_OUT, _GETH_API),
    NodeMessage("geth", "block range extends beyond current head block", -32602, _M.BLOCK_NOT_FOUND, _GETH_FILTERS),
    NodeMessage("geth", "unknown block", -32000, _M.BLOCK_NOT_FOUND, _GETH_FILTERS),
    NodeMessage("geth", "header not found", -32000, _M.BLOCK_NOT_FOUND, _GETH_BACKEND),
    NodeMessage("geth", "header for hash not found", -32000, _M.BLOCK_NOT_FOUND, _GETH_BACKEND),
    NodeMessage("geth", "hash is not currently canonical", -32000, _M.BLOCK_NOT_FOUND, _GETH_BACKEND),
    NodeMessage("geth", "finalized block not found", -32000, _M.BLOCK_NOT_FOUND, _GETH_BACKEND),
    NodeMessage("geth", "safe block not found", -32000, _M.BLOCK_NOT_FOUND, _GETH_BACKEND),
    NodeMessage(
        "geth",
        "historical state {} is not available",
        -32000,
        _M.STATE_UNAVAILABLE,
        "ethereum/go-ethereum core/state/database_history.go",
    ),
    NodeMessage("geth", "missing trie node {}", -32000, _M.STATE_UNAVAILABLE, "ethereum/go-ethereum trie/errors.go"),
    NodeMessage(
        "geth",
        "transaction indexing is in progress",
        -32000,
        _M.SYNCING,
        "ethereum/go-ethereum internal/ethapi/errors.go",
    ),
    NodeMessage("geth", "the method {} does not exist/is not available", -32601, _M.UNSUPPORTED, _GETH_RPC),
    # -- Erigon: eth_sendRawTransaction puts the kind before the reason (rpc/jsonrpc/send_transaction.go) ------------
    NodeMessage("Erigon", "ALREADY_EXISTS: already known", -32000, _M.ALREADY_KNOWN, _ERIGON_POOL),
    NodeMessage("Erigon", "existing txn with same hash", -32000, _M.ALREADY_KNOWN, _ERIGON_POOL),
    NodeMessage("Erigon", "INVALID: nonce too low", -32000, _M.NONCE_TOO_LOW, _ERIGON_POOL),
    NodeMessage("Erigon", "FEE_TOO_LOW: underpriced", -32000, _M.UNDERPRICED, _ERIGON_POOL),
    NodeMessage("Erigon", "fee too low", -32000, _M.UNDERPRICED, _ERIGON_POOL),
    NodeMessage("Erigon", "could not replace existing tx", -32000, _M.REPLACEMENT_UNDERPRICED, _ERIGON_POOL),
    NodeMessage("Erigon", "insufficient funds", -32000, _M.INSUFFICIENT_FUNDS, _ERIGON_POOL),
    NodeMessage("Erigon", "IntrinsicGas", -32000, _M.INTRINSIC_GAS, _ERIGON_POOL),
    NodeMessage("Erigon", "gas limit is too high", -32000, _M.GAS_LIMIT, _ERIGON_POOL),
    NodeMessage("Erigon", "pending sub-pool is full", -32000, _M.POOL_FULL, _ERIGON_POOL),
    NodeMessage("Erigon", "baseFee sub-pool is full", -32000, _M.POOL_FULL, _ERIGON_POOL),
    NodeMessage("Erigon", "queued sub-pool is full", -32000, _M.POOL_FULL, _ERIGON_POOL),
    NodeMessage("Erigon", "RLPTooLong", -32000, _M.OVERSIZED, _ERIGON_POOL),
    NodeMessage("Erigon", "initcode too large", -32000, _M.OVERSIZED, _ERIGON_POOL),
    NodeMessage(
        "Erigon",
        "tx fee ({} ether) exceeds the configured cap ({} ether)",
        -32000,
        _M.FEE_CAP,
        "erigontech/erigon rpc/jsonrpc/send_transaction.go",
    ),
    NodeMessage("Erigon", "block not found: {}", -32000, _M.BLOCK_NOT_FOUND, _ERIGON_LOGS),
    NodeMessage("Erigon", "block {} not found", -32000, _M.BLOCK_NOT_FOUND, _ERIGON_LOGS),
    NodeMessage(
        "Erigon",
        "block {} exists but transaction indexing is not yet complete, please try again later",
        -32000,
        _M.SYNCING,
        _ERIGON_LOGS,
    ),
    # -- Nethermind ---------------------------------------------------------------------------
    NodeMessage("Nethermind", "already known", -32000, _M.ALREADY_KNOWN, _NETHERMIND_POOL),
    NodeMessage("Nethermind", "nonce too low", -32000, _M.NONCE_TOO_LOW, _NETHERMIND_POOL),
    NodeMessage("Nethermind", "nonce too high", -32000, _M.NONCE_GAP, _NETHERMIND_POOL),
    NodeMessage("Nethermind", "nonce too far in future", -32000, _M.NONCE_GAP, _NETHERMIND_POOL),
    NodeMessage("Nethermind", "transaction underpriced", -32000, _M.UNDERPRICED, _NETHERMIND_POOL),
    NodeMessage(
        "Nethermind", "replacement transaction underpriced", -32000, _M.REPLACEMENT_UNDERPRICED, _NETHERMIND_POOL
    ),
    NodeMessage(
        "Nethermind", "insufficient funds for gas * price + value", -32000, _M.INSUFFICIENT_FUNDS, _NETHERMIND_POOL
    ),
    NodeMessage("Nethermind", "gas limit reached", -32000, _M.GAS_LIMIT, _NETHERMIND_POOL),
    NodeMessage(
        "Nethermind", "TxGasLimitCapExceeded: Gas limit {} exceeded cap of {}.", -32000, _M.GAS_LIMIT, _NETHERMIND_TX
    ),
    NodeMessage("Nethermind", "intrinsic gas too low", -32000, _M.INTRINSIC_GAS, _NETHERMIND_TX),
    NodeMessage("Nethermind", "gas below floor data cost", -32000, _M.INTRINSIC_GAS, _NETHERMIND_TX),
    NodeMessage(
        "Nethermind",
        "InvalidMaxPriorityFeePerGas: Cannot be higher than maxFeePerGas.",
        -32000,
        _M.TIP_ABOVE_FEE,
        _NETHERMIND_TX,
    ),
    NodeMessage("Nethermind", "transaction too large", -32000, _M.OVERSIZED, _NETHERMIND_POOL),
    NodeMessage("Nethermind", "node is syncing", -32000, _M.SYNCING, _NETHERMIND_POOL),
    NodeMessage(
        "Nethermind",
        "Block range {} exceeds the maximum of {} blocks per logs request.",
        -32602,
        _M.RANGE_TOO_WIDE,
        "https://github.com/NethermindEth/nethermind/pull/12149",
    ),
    NodeMessage(
        "Nethermind",
        "{} could not be found",
        -32001,
        _M.BLOCK_NOT_FOUND,
        "https://github.com/equilibriumco/pathfinder/pull/943",
    ),
    # -- Besu ---------------------------------------------------------------------------------
    NodeMessage("Besu", "Known transaction", -32000, _M.ALREADY_KNOWN, _BESU),
    NodeMessage("Besu", "Nonce too low", -32001, _M.NONCE_TOO_LOW, _BESU),
    NodeMessage("Besu", "Nonce too high", -32006, _M.NONCE_GAP, _BESU),
    NodeMessage("Besu", "Transaction nonce is too distant from current sender nonce", -32000, _M.NONCE_GAP, _BESU),
    NodeMessage("Besu", "An invalid transaction with a lower nonce exists", -32000, _M.NONCE_GAP, _BESU),
    NodeMessage("Besu", "Gas price below configured minimum gas price", -32009, _M.UNDERPRICED, _BESU),
    NodeMessage("Besu", "Gas price below current base fee", -32009, _M.FEE_BELOW_BASE, _BESU),
    NodeMessage("Besu", "Replacement transaction underpriced", -32000, _M.REPLACEMENT_UNDERPRICED, _BESU),
    NodeMessage("Besu", "Upfront cost exceeds account balance", -32004, _M.INSUFFICIENT_FUNDS, _BESU),
    NodeMessage("Besu", "Transaction fee cap exceeded", -32000, _M.FEE_CAP, _BESU),
    NodeMessage("Besu", "Max priority fee per gas exceeds max fee per gas", -32000, _M.TIP_ABOVE_FEE, _BESU),
    NodeMessage("Besu", "Intrinsic gas exceeds gas limit", -32003, _M.INTRINSIC_GAS, _BESU),
    NodeMessage("Besu", "Transaction gas limit exceeds block gas limit", -32005, _M.GAS_LIMIT, _BESU),
    NodeMessage("Besu", "Transaction gas limit cap exceeded", -32005, _M.GAS_LIMIT, _BESU),
    NodeMessage("Besu", "Execution reverted", 3, _M.REVERTED, _BESU),
    NodeMessage("Besu", "Requested range exceeds maximum RPC range limit", -32005, _M.RANGE_TOO_WIDE, _BESU),
    NodeMessage("Besu", "Timeout expired", -32603, _M.TIMED_OUT, _BESU),
    NodeMessage("Besu", "Unknown block", -39001, _M.BLOCK_NOT_FOUND, _BESU),
    NodeMessage("Besu", "Block not found", -32000, _M.BLOCK_NOT_FOUND, _BESU),
    NodeMessage("Besu", "World state unavailable", -32000, _M.STATE_UNAVAILABLE, _BESU),
    NodeMessage("Besu", "Initial sync is still in progress", -32008, _M.SYNCING, _BESU),
    NodeMessage("Besu", "Method not found", -32601, _M.UNSUPPORTED, _BESU),
    NodeMessage("Besu", "Method not enabled", -32604, _M.UNSUPPORTED, _BESU),
    # -- Reth ---------------------------------------------------------------------------------
    NodeMessage("Reth", "already known", -32000, _M.ALREADY_KNOWN, _RETH),
    NodeMessage("Reth", "nonce too low: next nonce {}, tx nonce {}", -32000, _M.NONCE_TOO_LOW, _RETH),
    NodeMessage("Reth", "transaction underpriced", -32000, _M.UNDERPRICED, _RETH),
    NodeMessage(
        "Reth",
        "transaction priority fee below minimum required priority fee {}",
        -32003,
        _M.UNDERPRICED,
        _RETH,
    ),
    NodeMessage("Reth", "replacement transaction underpriced", -32000, _M.REPLACEMENT_UNDERPRICED, _RETH),
    NodeMessage(
        "Reth",
        "insufficient funds for gas * price + value: have {} want {}",
        -32003,
        _M.INSUFFICIENT_FUNDS,
        _RETH,
    ),
    NodeMessage("Reth", "max fee per gas less than block base fee", -32000, _M.FEE_BELOW_BASE, _RETH),
    NodeMessage("Reth", "tx fee ({} wei) exceeds the configured cap ({} wei)", -32000, _M.FEE_CAP, _RETH),
    NodeMessage("Reth", "txpool is full", -32003, _M.POOL_FULL, _RETH),
    NodeMessage("Reth", "exceeds block gas limit", -32000, _M.GAS_LIMIT, _RETH),
    NodeMessage("Reth", "exceeds max transaction gas limit", -32000, _M.GAS_LIMIT, _RETH),
    NodeMessage("Reth", "intrinsic gas too high", -32000, _M.GAS_LIMIT, _RETH),
    NodeMessage("Reth", "oversized data: transaction size {}, limit {}", -32000, _M.OVERSIZED, _RETH),
    NodeMessage("Reth", "query exceeds max block range {}", -32602, _M.RANGE_TOO_WIDE, _RETH_FILTER),
    NodeMessage(
        "Reth",
        "query exceeds max results {}, retry with the range {}-{}",
        -32602,
        _M.RESULT_TOO_LARGE,
        _RETH_FILTER,
    ),
    NodeMessage(
        "Reth",
        "block range extends beyond current head block: requested {}, head {}",
        -32602,
        _M.BLOCK_NOT_FOUND,
        _RETH_FILTER,
    ),
    NodeMessage("Reth", "block not found: {}", -32001, _M.BLOCK_NOT_FOUND, _RETH),
    NodeMessage("Reth", "pruned history unavailable: {}", 4444, _M.STATE_UNAVAILABLE, _RETH),
    # -- anvil --------------------------------------------------------------------------------
    NodeMessage("anvil", "transaction already imported", -32003, _M.ALREADY_KNOWN, _ANVIL),
    NodeMessage("anvil", "nonce too low", -32003, _M.NONCE_TOO_LOW, _ANVIL),
    NodeMessage("anvil", "replacement transaction underpriced", -32003, _M.REPLACEMENT_UNDERPRICED, _ANVIL),
    NodeMessage("anvil", "max fee per gas less than block base fee", -32003, _M.FEE_BELOW_BASE, _ANVIL),
    NodeMessage("anvil", "Insufficient funds for gas * price + value", -32003, _M.INSUFFICIENT_FUNDS, _ANVIL),
    NodeMessage("anvil", "intrinsic gas too low", -32000, _M.INTRINSIC_GAS, _ANVIL),
    NodeMessage("anvil", "intrinsic gas too high -- {}", -32000, _M.GAS_LIMIT, _ANVIL),
    NodeMessage(
        "anvil",
        "Transaction gas limit is greater than the block gas limit, gas_limit: {}, cap: {}",
        -32003,
        _M.GAS_LIMIT,
        _ANVIL,
    ),
    NodeMessage("anvil", "execution reverted", 3, _M.REVERTED, _ANVIL),
    NodeMessage("anvil", "EVM error {}", -32603, _M.REVERTED, _ANVIL),
    NodeMessage(
        "anvil",
        "BlockOutOfRangeError: block height is {} but requested was {}",
        -32602,
        _M.BLOCK_NOT_FOUND,
        _ANVIL,
    ),
    NodeMessage("anvil", "unknown block", -32000, _M.BLOCK_NOT_FOUND, _ANVIL),
    NodeMessage("anvil", "Resource not found", -32001, _M.BLOCK_NOT_FOUND, _ANVIL),
    # -- Hardhat ------------------------------------------------------------------------------
    NodeMessage("Hardhat", "Known transaction: {}", -32000, _M.ALREADY_KNOWN, _HARDHAT_POOL),
    NodeMessage(
        "Hardhat",
        "Transaction nonce too low. Expected nonce to be at least {} but got {}.",
        -32000,
        _M.NONCE_TOO_LOW,
        _HARDHAT_POOL,
    ),
    NodeMessage("Hardhat", "Nonce too high. Expected nonce to be {} but got {}.", -32000, _M.NONCE_GAP, _HARDHAT),
    NodeMessage(
        "Hardhat",
        "Replacement transaction underpriced. A gasPrice/maxFeePerGas of at least {} is necessary",
        -32000,
        _M.REPLACEMENT_UNDERPRICED,
        _HARDHAT_POOL,
    ),
    NodeMessage(
        "Hardhat",
        "Transaction maxFeePerGas ({}) is too low for the next block, which has a baseFeePerGas of {}",
        -32000,
        _M.FEE_BELOW_BASE,
        _HARDHAT,
    ),
    NodeMessage(
        "Hardhat",
        "Transaction gas price is {}, which is below the minimum of {}",
        -32000,
        _M.UNDERPRICED,
        _HARDHAT,
    ),
    NodeMessage(
        "Hardhat", "Sender doesn't have enough funds to send tx.", -32000, _M.INSUFFICIENT_FUNDS, _HARDHAT_POOL
    ),
    NodeMessage(
        "Hardhat",
        "Transaction gas limit is {} and exceeds block gas limit of {}",
        -32000,
        _M.GAS_LIMIT,
        _HARDHAT_POOL,
    ),
    NodeMessage(
        "Hardhat",
        "Transaction gas limit is {} and exceeds transaction gas cap of {}",
        -32000,
        _M.GAS_LIMIT,
        _HARDHAT_POOL,
    ),
    NodeMessage(
        "Hardhat",
        "Received invalid block tag {}. Latest block number is {}",
        -32000,
        _M.BLOCK_NOT_FOUND,
        _HARDHAT,
    ),
    NodeMessage("Hardhat", "{} - Method not supported", -32004, _M.UNSUPPORTED, _HARDHAT),
    # -- providers ----------------------------------------------------------------------------
    NodeMessage(
        "Alchemy",
        "Log response size exceeded. You can make eth_getLogs requests with up to a {} block range and no limit on the "
        "response size, or you can request any block range with a cap of {} logs in the response.",
        -32602,
        _M.RESULT_TOO_LARGE,
        "https://github.com/ethers-io/ethers.js/issues/4703",
    ),
    NodeMessage(
        "Alchemy",
        "You can make eth_getLogs requests with up to a {} block range.",
        -32600,
        _M.RANGE_TOO_WIDE,
        "https://github.com/BobTheBuidler/dank_mids/issues/772",
    ),
    NodeMessage(
        "Alchemy",
        "Your app has exceeded its compute units per second capacity.",
        429,
        _M.RATE_LIMITED,
        "https://github.com/conduitxyz/node/issues/36",
        429,
    ),
    NodeMessage(
        "Alchemy",
        "Monthly capacity limit exceeded.",
        -32600,
        _M.RATE_LIMITED,
        "https://github.com/xmtp/xmtpd/issues/672",
        403,
    ),
    NodeMessage(
        "Infura",
        "query returned more than {} results. Try with this block range [{}, {}].",
        -32005,
        _M.RESULT_TOO_LARGE,
        "https://github.com/ethers-io/ethers.js/issues/4703",
    ),
    NodeMessage(
        "Infura",
        "range {} exceeds limit of {}",
        -32602,
        _M.RANGE_TOO_WIDE,
        "https://github.com/INFURA/infura/issues/237",
    ),
    NodeMessage(
        "Infura",
        "project ID request rate exceeded",
        -32005,
        _M.RATE_LIMITED,
        "https://github.com/status-im/status-app/issues/14665",
        429,
    ),
    NodeMessage(
        "Infura",
        "daily request count exceeded, request rate limited",
        -32005,
        _M.RATE_LIMITED,
        "https://github.com/gochain/web3/issues/180",
        429,
    ),
    NodeMessage(
        "Infura",
        "Payment Required",
        402,
        _M.RATE_LIMITED,
        "https://docs.metamask.io/services/how-to/avoid-rate-limiting.md",
        402,
    ),
    NodeMessage(
        "QuickNode",
        "eth_getLogs is limited to a {} range",
        -32614,
        _M.RANGE_TOO_WIDE,
        "https://github.com/OffchainLabs/arbitrum-sdk/issues/609",
        413,
    ),
    NodeMessage("Ankr", "block range is too wide", -32600, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage(
        "Ankr",
        "maximum [from, to] blocks distance: {}",
        None,
        _M.RANGE_TOO_WIDE,
        "https://github.com/ponder-sh/ponder/issues/1940",
    ),
    NodeMessage("Chainstack", "Block range limit exceeded.", -32602, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage(
        "BlockPI",
        "eth_getLogs is limited to {} block range.",
        -32602,
        _M.RANGE_TOO_WIDE,
        "https://github.com/foundry-rs/foundry/issues/12687",
    ),
    NodeMessage(
        "Merkle",
        "eth_getLogs range is too large, max is {} blocks",
        -32603,
        _M.RANGE_TOO_WIDE,
        "https://github.com/foundry-rs/foundry/issues/12687",
    ),
    NodeMessage(
        "dRPC",
        "ranges over {} blocks are not supported on freetier",
        35,
        _M.RANGE_TOO_WIDE,
        "https://github.com/foundry-rs/foundry/issues/12687",
    ),
    NodeMessage(
        "BNB Smart Chain",
        "exceed maximum block range: {}",
        -32000,
        _M.RANGE_TOO_WIDE,
        "https://github.com/AlphaWallet/alpha-wallet-android/issues/2736",
    ),
    NodeMessage("Cloudflare", "Max range: {}", None, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("Coinbase", "please limit the query to at most {} blocks", None, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("PublicNode", "maximum block range: {}", None, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("thirdweb", "Maximum allowed number of requested blocks is {}", -32005, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("Base", "block range too large", None, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("Optimism", "Block range is too large", None, _M.RANGE_TOO_WIDE, _PONDER),
    NodeMessage("Optimism", "backend response too large", None, _M.RESULT_TOO_LARGE, _PONDER),
    NodeMessage("Arbitrum", "logs matched by query exceeds limit of {}", None, _M.RESULT_TOO_LARGE, _PONDER),
    NodeMessage("1RPC", "response size should not greater than {} bytes", None, _M.RESULT_TOO_LARGE, _PONDER),
    NodeMessage(
        "Avalanche",
        "requested too many blocks from {} to {}, maximum is set to {}",
        None,
        _M.RANGE_TOO_WIDE,
        _PONDER,
    ),
)

#: Codes that mean the same whatever the text says: JSON-RPC 2.0, EIP-1474, eth_simulateV1, and HTTP's own.
CODES: Final[dict[int, Meaning]] = {
    3: Meaning.REVERTED,
    402: Meaning.RATE_LIMITED,
    429: Meaning.RATE_LIMITED,
    4444: Meaning.STATE_UNAVAILABLE,
    -32601: Meaning.UNSUPPORTED,
    -32015: Meaning.REVERTED,
    -39001: Meaning.BLOCK_NOT_FOUND,
    -38010: Meaning.NONCE_TOO_LOW,
    -38011: Meaning.NONCE_GAP,
    -38012: Meaning.FEE_BELOW_BASE,
    -38013: Meaning.INTRINSIC_GAS,
    -38014: Meaning.INSUFFICIENT_FUNDS,
}


def meaning_of(code: int, message: str) -> Meaning:
    """What a node's error means: by its code where that is beyond doubt, else by the table."""
    if code in CODES:
        return CODES[code]
    said = message[:MESSAGE_CHARS_MAX].lower()
    for parts, meaning in _lines():
        if _holds(said, parts):
            return meaning
    return Meaning.UNKNOWN


def _holds(said: str, parts: tuple[str, ...]) -> bool:
    """Whether the parts stand in what was said, one after another."""
    at = 0
    for part in parts:
        found = said.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


@cache
def _lines() -> list[tuple[tuple[str, ...], Meaning]]:
    """The table's texts in parts between blanks, those that say most first.

    Reverts come before all: what follows "execution reverted" is the contract's own text, which may say anything.
    """
    lines = [(tuple(part for part in one.text.lower().split(BLANK) if part), one.meaning) for one in MESSAGES]
    return sorted(lines, key=lambda line: (line[1] is not Meaning.REVERTED, -sum(map(len, line[0]))))
