// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Who may change what, and how long everybody is warned before
/// @notice One cold key, the admin. Whatever gives more power (raising, unpausing, naming) is announced first, waits
/// out the delay, and must then be done within the window. Whatever takes power away acts at once.
///
/// To announce is to show the very call that will be made. Anybody can decode it with the contract's ABI.
interface IPowers {
    /// @notice The admin will make this call, not before `readyAt` and not after `until`.
    /// @param id keccak256 of the call.
    /// @param call Selector and arguments of the function that will be called.
    /// @param readyAt The first block timestamp, in Unix seconds, at which the call is accepted.
    /// @param until The last block timestamp, in Unix seconds, at which the call is accepted.
    event Announced(bytes32 indexed id, bytes call, uint256 readyAt, uint256 until);

    /// @notice An announced call was made or withdrawn; it must be announced again before it can be made again.
    event Closed(bytes32 indexed id, bool made);

    /// @notice A nominee may now accept the admin's powers; zero takes a nomination back.
    event Nominated(address indexed nominee);

    /// @notice The admin's powers changed hands.
    event AdminChanged(address indexed admin);

    /// @notice Thrown when an address that is needed was given as zero.
    error ZeroAddress();

    /// @notice Thrown at deployment when the delay is longer than a year.
    error DelayTooLong(uint256 max, uint256 given);

    /// @notice Thrown when somebody else than the admin uses the admin's powers.
    error NotAdmin(address caller);

    /// @notice Thrown when somebody else than the nominee accepts the admin's powers.
    error NotNominee(address caller);

    /// @notice Thrown when a call is made or withdrawn that is not announced.
    error NotAnnounced(bytes32 id);

    /// @notice Thrown when a call is announced that is announced already.
    error AlreadyAnnounced(bytes32 id, uint256 readyAt);

    /// @notice Thrown when an announced call is made before the delay is over.
    error TooEarly(uint256 readyAt, uint256 timestamp);

    /// @notice Thrown when an announced call is made after its window.
    error TooLate(uint256 until, uint256 timestamp);

    /// @notice Announces a call of this contract. Admin only.
    function announce(bytes calldata call) external;

    /// @notice Takes an announcement back, at once. Admin only.
    function withdraw(bytes calldata call) external;

    /// @notice Names who may accept the admin's powers. Admin only, announced; zero, which takes a nomination back,
    /// at once.
    function nominate(address next) external;

    /// @notice Takes over the admin's powers. Nominee only.
    function accept() external;

    /// @notice From when the announced call with this id can be made; 0 when it is not announced.
    function readyAt(bytes32 id) external view returns (uint256);

    /// @notice Who has the admin's powers.
    function admin() external view returns (address);

    /// @notice Who may accept the admin's powers; zero when nobody may.
    function nominee() external view returns (address);

    /// @notice Seconds between announcing a call and the first moment to make it; fixed at deployment.
    function delay() external view returns (uint256);
}
