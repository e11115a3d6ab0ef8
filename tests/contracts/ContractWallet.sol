// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// A wallet that is a contract (ERC-1271), and all the ways in which one can answer a question for its signature.
contract ContractWallet {
    enum Answer {
        Accept, // of the digest that it approved, with its approval's own bytes as the signature
        Deny,
        OtherMagic, // the magic value at the wrong end of the word
        RevertWithMagic,
        ShortMagic, // 31 bytes, of which the first four are the magic value
        Nothing,
        Write // accepts, but changes state first, which a static call forbids
    }

    bytes32 private constant MAGIC = bytes32(bytes4(0x1626ba7e));

    Answer public answer;
    mapping(bytes32 digest => bytes32 signature) private _approvals;

    constructor(Answer answer_) {
        answer = answer_;
    }

    function approve(bytes32 digest, bytes calldata signature) external {
        _approvals[digest] = keccak256(signature);
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external returns (bytes32 magic) {
        if (answer == Answer.Accept) return _approvals[digest] == keccak256(signature) ? MAGIC : bytes32(0);
        if (answer == Answer.Deny) return bytes32(bytes4(0xffffffff));
        if (answer == Answer.OtherMagic) return MAGIC >> 224;
        if (answer == Answer.Write) _approvals[digest] = MAGIC;
        magic = MAGIC;
        uint256 size = answer == Answer.ShortMagic ? 31 : answer == Answer.Nothing ? 0 : 32;
        bool fails = answer == Answer.RevertWithMagic;
        assembly ("memory-safe") {
            mstore(0x00, magic)
            if fails { revert(0x00, 0x20) }
            return(0x00, size)
        }
    }
}
