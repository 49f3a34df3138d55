// The byte form of a client's write, which is the payload of a log entry of type command.
// Little-endian:
//
//   u8 version = 3   u8 kind   u8 flags
//   [identity] [condition] [condition] [idempotency key] [fence]   body
//
//   kind: 1 one operation, 2 transaction, 3 compaction, 4 quota, 5 to 7 lease (grant, renew, end),
//         8 to 12 lock (acquire, renew, release, leave queue, keep places), 13 expire,
//         14 and 15 enable and disable auth, 16 and 17 add and revoke a token
//   flags: 1 has If-Match, 2 has If-None-Match (one operation only), 4 has an idempotency key,
//          8 has a fence (operations and transactions only), 16 has an identity (not those that
//          only servers propose: 4 and 11 to 13), 32 a server proposed it (compaction and enable
//          auth only)
//   identity: u8 length, name   u64 id
//   each condition, If-Match first: u8 any, u8 count, then `count` u64 revisions
//   idempotency key: u8 length, text, u64 fingerprint.high, u64 fingerprint.low
//   fence: u16 length, name   u64 token
//   compaction: u64 revision    quota: u8 exceeded
//   grant lease: i64 ttl   u64 most    renew, end lease: u64 lease
//   lock: u8 space   u16 length, name
//   acquire: lock   i64 ttl   u64 boot   u8 waits   u64 most locks   u64 most waiters
//            u32 length, value
//   renew lock: lock   u64 token   u8 has value   [u32 length, value]    release: lock   u64 token
//   leave queue: lock   u64 place   u64 claim   u64 boot   u8 manner
//   keep places: u64 boot
//   enable auth: 32 bytes hash
//   add token: u8 length, name   32 bytes hash   i64 ttl (0: no end)   rules (kv/access.hpp)
//   revoke token: u8 length, name
//   expire: u16 count, (key   i64 deadline)   u16 count, u64 lease   u16 count, (lock   u64 token)
//           u16 count, (u64 boot   u64 place)
//   transaction: u16 count, compares   u16 count, operations ("then")   u16 count, operations
//   compare: range   u8 target   u8 op   u64 number, or for a value: u32 length, value
//   range: u16 length, start   u16 length, end
//   operation: u8 kind, then
//     1 put        u8 flags (1 json, 2 keep value, 4 keep lease, 8 prev, 16 lease, 32 ttl)
//                  [u64 lease]   [i64 ttl]   key   value
//     2 get        key   u64 revision
//     3 get range  range   u64 revision   u64 limit   u8 order   u8 content   u16 prefix size
//                  u16 length, separator
//     4 delete     u8 flags (1 prev)   range
//     5 modify     u8 kind   key   i64 operand, or for append: u32 length, suffix
//     6 restore    key   u64 revision
//     7 nested     transaction
//   key: u16 length, key   value: u32 length, value
//
// Every command has exactly one byte form. The store that applies commands is in store.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "kv/access.hpp"
#include "kv/item.hpp"
#include "kv/locks.hpp"
#include "kv/operation.hpp"

namespace vesper::kv {

inline constexpr std::uint8_t kCommandVersion = 3;

inline constexpr std::size_t kMaxIdempotencyKey = 255;  // bytes; at least 1
inline constexpr std::size_t kMaxSeparator = 4096;      // bytes

// Identifies a write that is applied once, however often it arrives (thesis 6.3). The client
// chooses the text. The fingerprint identifies the request, so that the text cannot be reused for
// another request.
struct IdempotencyKey {
  std::string text;   // visible ASCII, 1 to kMaxIdempotencyKey bytes
  Id128 fingerprint;  // fingerprint_of
};
bool is_idempotency_key(std::string_view text);

// The fingerprint of a request: its method, target (path, and the parameters that change what is
// done), conditions and body. It must never change, because a request may be repeated to a node of
// another version. It is no protection against forgers: a client that makes two of its requests
// collide deceives only itself.
Id128 fingerprint_of(std::string_view method, std::string_view target, const Conditions& conditions,
                     std::string_view body);

// One operation, as a single request asks for it.
struct Single {
  Conditions conditions;
  Operation operation;
};
// Compacts the history: `revision` becomes the oldest readable one.
struct Compact {
  enum class By : std::uint8_t { client, server };
  std::uint64_t revision = 0;  // at least 1
  By by = By::client;
};
// Tells all nodes whether the store has reached the leader's quota. See is_stuck_at_quota() for
// what a repetition does.
struct SetQuota {
  bool exceeded = false;
};

// Grants a lease. Its id is the index of the log entry.
struct GrantLease {
  Duration ttl;            // positive, up to kMaxTtl
  std::uint64_t most = 0;  // refused if so many leases exist: the limit of the node that serves it
};
struct RenewLease {
  std::uint64_t lease = 0;
};
// Ends a lease and deletes its keys: up to kMaxExpired of them at once, the others later.
struct EndLease {
  std::uint64_t lease = 0;
};

// Asks for a lock, or campaigns in an election.
struct AcquireLock {
  LockName lock;
  Duration ttl;            // positive, up to kMaxTtl
  std::uint64_t boot = 0;  // of the node that serves the client; its session has the place
  // Whether to queue for a lock that is held, or to be refused (lock_busy).
  enum class IfHeld : std::uint8_t { refuse = 0, queue = 1 } if_held = IfHeld::refuse;
  std::uint64_t most_locks = 0, most_waiters = 0;  // as in GrantLease
  SharedBytes value;  // of an election: up to kMaxElectionValue bytes; of a lock: empty
};
// Extends the holder's deadline. An election's holder may give it a new value.
struct RenewLock {
  LockName lock;
  std::uint64_t token = 0;
  std::optional<SharedBytes> value;
};
struct ReleaseLock {
  LockName lock;
  std::uint64_t token = 0;
};
// A client no longer waits at its place. Does nothing if the place belongs to another session, or
// if the client has claimed it again.
struct LeaveQueue {
  // `timed_out`: the answer is lock_busy, also to a retry with its idempotency key; if the lock was
  // granted meanwhile, nothing is done. `hung_up`: releases the lock if it was granted meanwhile.
  // `disconnected`: the client had an idempotency key and may come back: its place becomes a
  // session of its own.
  enum class Manner : std::uint8_t { timed_out = 1, hung_up = 2, disconnected = 3 };
  LockName lock;
  std::uint64_t place = 0;
  std::uint64_t claim = 0;  // LockWaiter::claim, as this client knows it
  std::uint64_t boot = 0;
  Manner manner = Manner::timed_out;
};
// The node with this boot id still serves the waiters whose places are of its session.
struct KeepPlaces {
  std::uint64_t boot = 0;
};

// Ends what is due. The leader proposes it, and names what it has found to be due. What is not due
// by the stamp of the command, or has changed since, is left alone.
struct Expire {
  // By its deadline, which a write may have kept or changed meanwhile.
  struct Key {
    SharedBytes key;
    LogTime deadline;
  };
  struct Lock {
    LockName lock;
    std::uint64_t token = 0;  // 0: the lock is free, and is to be passed on
  };
  std::vector<Key> keys;              // deleted together, as one revision
  std::vector<std::uint64_t> leases;  // a revision for each
  std::vector<Lock> locks;            // a revision for each
  std::vector<SessionId> sessions;
  bool empty() const { return keys.empty() && leases.empty() && locks.empty() && sessions.empty(); }
};
// The most items of one Expire, and the most keys or places that it deletes; the most keys that the
// end of a lease deletes at once, and the most places that the end of a holder's time looks at. It
// keeps each turn short.
inline constexpr std::size_t kMaxExpired = 1000;

// From now on clients need a token. Makes the token kRootToken, or replaces it. Refused if they
// need one already (already_enabled). The tokens of an earlier time stay.
// A server whose data directory asks for it (vesper recover --reset-root) may do so at any time.
struct EnableAuth {
  enum class By : std::uint8_t { client, server };
  SecretHash hash;
  By by = By::client;
};
// From now on every client may do everything. The tokens stay.
struct DisableAuth {};
// Adds a token. Refused if one of this name exists (token_exists).
struct AddToken {
  std::string name;  // is_token_name()
  SecretHash hash;
  Duration ttl;             // up to kMaxTtl; 0: it does not expire
  std::vector<Rule> rules;  // 1 to kMaxRules
};
struct RevokeToken {
  std::string name;
};

// A write is carried out only while the lock or the election of this name is held with this token.
struct Fence {
  std::string name;
  std::uint64_t token = 0;
};

struct Command {
  std::optional<Identity> identity;  // whose rights are judged; nothing: the client has no token
  bool has_idempotency_key = false;  // if so, the next two fields are set
  SharedBytes idempotency_key;
  Id128 fingerprint;  // of the request and the identity, so that no one gets another's reply
  std::optional<Fence> fence;
  std::variant<Single, Transaction, Compact, SetQuota, GrantLease, RenewLease, EndLease,
               AcquireLock, RenewLock, ReleaseLock, LeaveQueue, KeepPlaces, Expire, EnableAuth,
               DisableAuth, AddToken, RevokeToken>
      body;
};
// True if a server proposes the command for itself. No client can ask for it.
bool is_of_server(const Command& command);

// How the bytes of a value are to be understood.
enum class ValueForm : std::uint8_t { bytes, json };

// The encoders require keys, values, conditions and counts within their bounds (kv/item.hpp,
// kv/operation.hpp). The caller has validated the request.
std::string encode_put(std::string_view key, std::string_view value, ValueForm form,
                       const Conditions& conditions,
                       const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode_remove(std::string_view key, const Conditions& conditions,
                          const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const Conditions& conditions, const Operation& operation,
                   const std::optional<IdempotencyKey>& request = std::nullopt,
                   const std::optional<Fence>& fence = std::nullopt);
std::string encode(const Transaction& transaction,
                   const std::optional<IdempotencyKey>& request = std::nullopt,
                   const std::optional<Fence>& fence = std::nullopt);
std::string encode(const Compact& compact,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const SetQuota& quota);
std::string encode(const GrantLease& grant,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const RenewLease& renew,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const EndLease& end, const std::optional<IdempotencyKey>& request = std::nullopt,
                   const std::optional<Fence>& fence = std::nullopt);
std::string encode(const AcquireLock& acquire,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const RenewLock& renew,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const ReleaseLock& release,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const LeaveQueue& leave);
std::string encode(const KeepPlaces& keep);
std::string encode(const Expire& expire);
std::string encode(const EnableAuth& enable);
std::string encode(const DisableAuth& disable,
                   const std::optional<IdempotencyKey>& request = std::nullopt);
std::string encode(const AddToken& add);
std::string encode(const RevokeToken& revoke,
                   const std::optional<IdempotencyKey>& request = std::nullopt);

// The same command with the identity of the client. Requires a command of a client without one.
SharedBytes with_identity(std::string_view command, const std::optional<Identity>& identity);

// The key of a put that has no conditions, fence or idempotency key, and asks for nothing more than
// the value to be stored. Nothing for any other command. Requires a valid command.
std::optional<std::string_view> key_of_plain_put(std::string_view command);

// Keys and values of the result are slices of `payload`. Every field is checked and bounded, and
// the error names the faulty one. An error means that this build cannot apply an entry of the log.
// The node must stop, because skipping a command would make its store differ from the others.
Result<Command> decode_command(const SharedBytes& payload);

}  // namespace vesper::kv
