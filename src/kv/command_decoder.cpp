// Reads commands. Every field is checked and bounded, because a command may come from a peer.
#include <fmt/core.h>

#include <algorithm>

#include "base/checksum.hpp"
#include "kv/command.hpp"
#include "kv/command_form.hpp"
#include "kv/digest.hpp"
#include "kv/leases.hpp"

namespace vesper::kv {
namespace {

using namespace form;

// Must never change, like fingerprint_of().
constexpr std::uint64_t kIdentitySeed = 0x0f6b3d94e7a1c852;

Id128 fingerprint_with(const Identity& identity, Id128 request) {
  std::string form = identity.name;
  ByteWriter(form).u64(identity.id);
  return plus(request, checksum128(form, kIdentitySeed));
}

// Reads the body of a command. Every function returns what it read; the first fault is kept, and
// makes the reader fail, so that the caller checks once.
class Decoder {
 public:
  explicit Decoder(const SharedBytes& payload) : payload_(payload), r_(payload.view()) {}

  Result<Command> command() {
    Command command;
    const std::uint8_t version = r_.u8();
    const std::uint8_t kind = r_.u8();
    const std::uint8_t flags = r_.u8();
    if (r_.ok() && version != kCommandVersion)
      return Error{fmt::format("command: version {} is unknown; this build knows {}", version,
                               kCommandVersion)};
    if ((flags & ~kKnownFlags) != 0) fail(fmt::format("flags {} are unknown to this build", flags));
    if ((flags & kIdentity) != 0) identity(command);
    Conditions conditions;
    if ((flags & kIfMatch) != 0) conditions.if_match = match("If-Match");
    if ((flags & kIfNoneMatch) != 0) conditions.if_none_match = match("If-None-Match");
    if ((flags & kIdempotencyKey) != 0) idempotency_key(command, static_cast<CommandKind>(kind));
    if ((flags & kFence) != 0) {
      const std::string name(key().view());
      command.fence = Fence{name, r_.u64()};
    }
    if (!conditions.empty() && kind != static_cast<std::uint8_t>(CommandKind::single))
      fail("conditions belong to a single operation");
    if (command.has_idempotency_key && !takes_idempotency_key(static_cast<CommandKind>(kind)))
      fail(fmt::format("kind {} takes no idempotency key", kind));
    if (command.fence && !takes_fence(static_cast<CommandKind>(kind)))
      fail(fmt::format("kind {} takes no fence", kind));
    const bool may_be_of_server = kind == static_cast<std::uint8_t>(CommandKind::compact) ||
                                  kind == static_cast<std::uint8_t>(CommandKind::enable_auth);
    if ((flags & kOfServer) != 0 && (!may_be_of_server || command.identity))
      fail(fmt::format("kind {} is not proposed by a server for itself", kind));
    body(command, static_cast<CommandKind>(kind), flags, std::move(conditions));
    if (fault_.empty() && r_.ok() && command.identity && is_of_server(command))
      fail(fmt::format("kind {} takes no identity", kind));
    if (!fault_.empty()) return Error{"command: " + fault_};
    if (!r_.ok()) return Error{fmt::format("command: truncated after {} bytes", payload_.size())};
    if (!r_.at_end()) return Error{fmt::format("command: {} bytes after its end", r_.remaining())};
    return command;
  }

 private:
  void body(Command& command, CommandKind kind, std::uint8_t flags, Conditions conditions) {
    switch (kind) {
      case CommandKind::single: command.body = single(std::move(conditions)); break;
      case CommandKind::transaction: command.body = transaction(kMaxDepth); break;
      case CommandKind::compact: {
        const auto by = (flags & kOfServer) != 0 ? Compact::By::server : Compact::By::client;
        command.body = Compact{revision("compaction"), by};
        break;
      }
      case CommandKind::quota: command.body = SetQuota{flag("quota")}; break;
      case CommandKind::grant_lease: {
        const Duration lasts = ttl();
        command.body = GrantLease{lasts, r_.u64()};
        break;
      }
      case CommandKind::renew_lease: command.body = RenewLease{r_.u64()}; break;
      case CommandKind::end_lease: command.body = EndLease{r_.u64()}; break;
      case CommandKind::acquire_lock: command.body = acquire_lock(); break;
      case CommandKind::renew_lock: command.body = renew_lock(); break;
      case CommandKind::release_lock: {
        LockName name = lock();
        command.body = ReleaseLock{std::move(name), r_.u64()};
        break;
      }
      case CommandKind::leave_queue: command.body = leave_queue(); break;
      case CommandKind::keep_places: command.body = KeepPlaces{boot()}; break;
      case CommandKind::expire: command.body = expire(); break;
      case CommandKind::enable_auth: {
        const auto by = (flags & kOfServer) != 0 ? EnableAuth::By::server : EnableAuth::By::client;
        command.body = EnableAuth{hash(), by};
        break;
      }
      case CommandKind::disable_auth: command.body = DisableAuth{}; break;
      case CommandKind::add_token: command.body = add_token(); break;
      case CommandKind::revoke_token: command.body = RevokeToken{token_name()}; break;
      default:
        fail(fmt::format("kind {} is unknown to this build", static_cast<std::uint8_t>(kind)));
    }
  }

  void fail(std::string what) {
    if (r_.ok() && fault_.empty()) fault_ = std::move(what);
    r_.fail();
  }

  // The writes of keys.
  static bool takes_fence(CommandKind kind) {
    return kind == CommandKind::single || kind == CommandKind::transaction ||
           kind == CommandKind::end_lease;
  }

  static bool takes_idempotency_key(CommandKind kind) {
    switch (kind) {
      case CommandKind::quota:
      case CommandKind::leave_queue:
      case CommandKind::keep_places:
      case CommandKind::expire:
      // A secret is shown once. A retry could not get the same answer.
      case CommandKind::enable_auth:
      case CommandKind::add_token: return false;
      case CommandKind::disable_auth:
      case CommandKind::revoke_token:
      case CommandKind::single:
      case CommandKind::transaction:
      case CommandKind::compact:
      case CommandKind::grant_lease:
      case CommandKind::renew_lease:
      case CommandKind::end_lease:
      case CommandKind::acquire_lock:
      case CommandKind::renew_lock:
      case CommandKind::release_lock: return true;
    }
    return true;  // an unknown kind is refused later
  }

  bool flag(std::string_view of) {
    const std::uint8_t value = r_.u8();
    if (value > 1) fail(fmt::format("{}: {} is not a flag", of, value));
    return value == 1;
  }

  Match match(std::string_view name) {
    Match match;
    const std::uint8_t any = r_.u8();
    const std::uint8_t count = r_.u8();
    if (any > 1 || count > kMaxConditionList || (any == 1 && count > 0)) {
      fail(fmt::format("{} is malformed", name));
      return match;
    }
    match.any = any == 1;
    match.revisions.reserve(count);
    for (std::uint8_t i = 0; i < count; ++i) match.revisions.push_back(r_.u64());
    return match;
  }

  std::string token_name() {
    std::string name(r_.bytes(r_.u8()));
    if (r_.ok() && !is_token_name(name)) fail("the name of a token is malformed");
    return name;
  }

  void identity(Command& command) {
    std::string name = token_name();
    command.identity = Identity{std::move(name), r_.u64()};
    if (r_.ok() && command.identity->id == 0) fail("an identity of 0");
  }

  SecretHash hash() {
    SecretHash hash{};
    const std::string_view bytes = r_.bytes(kSecretHashBytes);
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    return hash;
  }

  AddToken add_token() {
    AddToken add;
    add.name = token_name();
    add.hash = hash();
    add.ttl = Duration{r_.i64()};
    if (r_.ok() && (add.ttl.ns < 0 || add.ttl > kMaxTtl))
      fail(fmt::format("a time to live of {} ns", add.ttl.ns));
    if (!read_rules(r_, add.rules)) fail("the rules of a token are malformed");
    return add;
  }

  void idempotency_key(Command& command, CommandKind kind) {
    const std::size_t size = r_.u8();
    const std::size_t at = r_.offset();
    const std::string_view key = r_.bytes(size);
    command.has_idempotency_key = true;
    command.fingerprint.high = r_.u64();
    command.fingerprint.low = r_.u64();
    if (!r_.ok()) return;
    if (!is_idempotency_key(key))
      return fail(fmt::format("its idempotency key is not 1 to {} bytes of visible ASCII",
                              kMaxIdempotencyKey));
    command.idempotency_key = payload_.slice(at, size);
    // A retry of disable_auth comes without an identity, because none is needed any more.
    if (command.identity && kind != CommandKind::disable_auth)
      command.fingerprint = fingerprint_with(*command.identity, command.fingerprint);
  }

  SharedBytes slice(std::size_t size) {
    const std::size_t at = r_.offset();
    r_.bytes(size);
    return r_.ok() ? payload_.slice(at, size) : SharedBytes();
  }

  SharedBytes key() {
    const std::size_t size = r_.u16();
    if (r_.ok() && (size == 0 || size > kMaxKey))
      fail(fmt::format("a key of {} bytes, expected 1 to {}", size, kMaxKey));
    return slice(size);
  }

  SharedBytes value(std::size_t limit) {
    const std::size_t size = r_.u32();
    if (r_.ok() && size > limit)
      fail(fmt::format("a value of {} bytes, expected up to {}", size, limit));
    return slice(size);
  }

  std::string text(std::size_t limit, std::string_view what) {
    const std::size_t size = r_.u16();
    if (r_.ok() && size > limit)
      fail(fmt::format("{} of {} bytes, expected up to {}", what, size, limit));
    return std::string(r_.bytes(size));
  }

  KeyRange range() {
    KeyRange range;
    range.start = text(kMaxKey + 1, "the start of a range");
    range.end = text(kMaxKey + 1, "the end of a range");
    return range;
  }

  std::uint64_t revision(std::string_view of) {
    const std::uint64_t revision = r_.u64();
    if (r_.ok() && revision == 0) fail(fmt::format("{}: revision 0", of));
    return revision;
  }

  template <typename Enum>
  Enum enumerator(Enum first, Enum last, std::string_view what) {
    const std::uint8_t value = r_.u8();
    if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last))
      fail(fmt::format("{} {} is unknown to this build", what, value));
    return static_cast<Enum>(value);
  }

  Operation put() {
    Put put;
    const std::uint8_t flags = r_.u8();
    if ((flags & ~(kPutJson | kPutKeepValue | kPutKeepLease | kPrev | kPutLease | kPutTtl)) != 0)
      fail(fmt::format("flags {} of a put are unknown to this build", flags));
    put.json = (flags & kPutJson) != 0;
    put.keep_value = (flags & kPutKeepValue) != 0;
    put.keep_lease = (flags & kPutKeepLease) != 0;
    put.prev = (flags & kPrev) != 0 ? Prev::include : Prev::omit;
    if ((flags & kPutLease) != 0) put.lease = r_.u64();
    if ((flags & kPutTtl) != 0) put.ttl = ttl();
    if (r_.ok() && (flags & kPutLease) != 0 && put.lease == 0) fail("a put with lease 0");
    if ((put.keep_lease ? 1 : 0) + (put.lease != 0 ? 1 : 0) + (put.ttl.ns != 0 ? 1 : 0) > 1)
      fail("a put with more than one of lease, ttl and keep lease");
    put.key = key();
    put.value = value(value_limit(put.json ? ValueForm::json : ValueForm::bytes));
    if (put.keep_value && (put.json || !put.value.empty()))
      fail("a put that keeps the value has one");
    return put;
  }

  Operation get_range() {
    GetRange get;
    RangeQuery& query = get.query;
    query.range = range();
    query.revision = r_.u64();
    query.limit = static_cast<std::size_t>(r_.u64());
    query.order = enumerator(Order::ascending, Order::descending, "order");
    query.content = enumerator(Content::values, Content::count, "content");
    query.prefix_size = r_.u16();
    query.separator = text(kMaxSeparator, "a separator");
    if (query.prefix_size > kMaxKey) fail("a prefix that is too long");
    return get;
  }

  Operation remove() {
    Delete remove;
    const std::uint8_t flags = r_.u8();
    if ((flags & ~kPrev) != 0)
      fail(fmt::format("flags {} of a delete are unknown to this build", flags));
    remove.prev = (flags & kPrev) != 0 ? Prev::include : Prev::omit;
    remove.range = range();
    return remove;
  }

  Operation modify() {
    Modify modify;
    modify.kind = enumerator(Modify::Kind::increment, Modify::Kind::max, "modification");
    modify.key = key();
    if (modify.kind == Modify::Kind::append) modify.suffix = value(kMaxValue);
    else modify.operand = r_.i64();
    return modify;
  }

  // `depth`: how many more transactions may be nested inside.
  Operation operation(std::size_t depth) {
    const std::uint8_t kind = r_.u8();
    switch (static_cast<OperationKind>(kind)) {
      case OperationKind::put: return put();
      case OperationKind::get: {
        Get get;
        get.key = key();
        get.revision = r_.u64();
        return get;
      }
      case OperationKind::get_range: return get_range();
      case OperationKind::remove: return remove();
      case OperationKind::modify: return modify();
      case OperationKind::restore: {
        Restore restore;
        restore.key = key();
        restore.revision = revision("restore");
        return restore;
      }
      case OperationKind::nested:
        if (depth == 0) {
          fail(fmt::format("transactions are nested deeper than {}", kMaxDepth));
          break;
        }
        return Nested{std::make_unique<Transaction>(transaction(depth - 1))};
    }
    fail(fmt::format("operation {} is unknown to this build", kind));
    return Get{};
  }

  Compare compare() {
    Compare compare;
    compare.range = range();
    compare.target = enumerator(Compare::Target::revision, Compare::Target::lock, "compare");
    compare.op = enumerator(Compare::Op::equal, Compare::Op::greater, "comparison");
    if (compare.target == Compare::Target::value) compare.value = value(kMaxJson);
    else compare.number = r_.u64();
    if (compare.target == Compare::Target::exists && compare.number > 1)
      fail("a compare of existence is not 0 or 1");
    if (compare.target == Compare::Target::lock &&
        (compare.op != Compare::Op::equal || !compare.range.is_single_key()))
      fail("a compare of a lock is not one name and one token");
    return compare;
  }

  // ---- leases, locks, expiry

  Duration ttl() {
    const Duration ttl{r_.i64()};
    if (r_.ok() && (ttl.ns <= 0 || ttl > kMaxTtl))
      fail(fmt::format("a time to live of {} ns", ttl.ns));
    return ttl;
  }

  std::uint64_t boot() {
    const std::uint64_t boot = r_.u64();
    if (r_.ok() && boot == 0) fail("a boot id of 0");
    return boot;
  }

  LockName lock() {
    LockName lock;
    lock.space = enumerator(Space::locks, Space::elections, "space");
    lock.name = key().view();
    return lock;
  }

  AcquireLock acquire_lock() {
    AcquireLock acquire;
    acquire.lock = lock();
    acquire.ttl = ttl();
    acquire.boot = boot();
    acquire.if_held =
        enumerator(AcquireLock::IfHeld::refuse, AcquireLock::IfHeld::queue, "manner of waiting");
    acquire.most_locks = r_.u64();
    acquire.most_waiters = r_.u64();
    acquire.value = value(acquire.lock.space == Space::elections ? kMaxElectionValue : 0);
    return acquire;
  }

  RenewLock renew_lock() {
    RenewLock renew;
    renew.lock = lock();
    renew.token = r_.u64();
    if (!flag("new value")) return renew;
    renew.value = value(renew.lock.space == Space::elections ? kMaxElectionValue : 0);
    return renew;
  }

  LeaveQueue leave_queue() {
    LeaveQueue leave;
    leave.lock = lock();
    leave.place = r_.u64();
    leave.claim = r_.u64();
    leave.boot = boot();
    leave.manner = enumerator(LeaveQueue::Manner::timed_out, LeaveQueue::Manner::disconnected,
                              "manner of leaving");
    return leave;
  }

  template <typename Item, typename Read>
  std::vector<Item> items(std::string_view what, const Read& read) {
    std::vector<Item> items;
    const std::size_t count = r_.u16();
    if (count > kMaxExpired)
      fail(fmt::format("{} {}, expected up to {}", count, what, kMaxExpired));
    else items.reserve(count);
    for (std::size_t i = 0; i < count && r_.ok(); ++i) items.push_back(read());
    return items;
  }

  Expire expire() {
    Expire expire;
    expire.keys = items<Expire::Key>("keys", [&] {
      SharedBytes name = key();
      return Expire::Key{std::move(name), LogTime{r_.i64()}};
    });
    expire.leases = items<std::uint64_t>("leases", [&] { return r_.u64(); });
    expire.locks = items<Expire::Lock>("locks", [&] {
      LockName name = lock();
      return Expire::Lock{std::move(name), r_.u64()};
    });
    expire.sessions = items<SessionId>("sessions", [&] {
      const std::uint64_t boot = r_.u64();
      return SessionId{boot, r_.u64()};
    });
    return expire;
  }

  std::size_t count(std::size_t& left, std::string_view what) {
    const std::size_t count = r_.u16();
    if (count > left) {
      fail(fmt::format("too many {}", what));
      return 0;
    }
    left -= count;
    return count;
  }

  Single single(Conditions conditions) {
    Single single{std::move(conditions), operation(0)};
    const auto* remove = std::get_if<Delete>(&single.operation);
    const bool one_key =
        remove != nullptr ? remove->range.is_single_key() : !is_read_only(single.operation);
    if (!single.conditions.empty() && !one_key) fail("conditions belong to a write of one key");
    return single;
  }

  // `depth`: as above.
  Transaction transaction(std::size_t depth) {
    Transaction transaction;
    const std::size_t compares = count(compares_left_, "compares");
    for (std::size_t i = 0; i < compares && r_.ok(); ++i) transaction.compares.push_back(compare());
    for (auto* branch : {&transaction.then, &transaction.otherwise}) {
      const std::size_t operations = count(operations_left_, "operations");
      for (std::size_t i = 0; i < operations && r_.ok(); ++i) branch->push_back(operation(depth));
    }
    return transaction;
  }

  const SharedBytes& payload_;
  ByteReader r_;
  std::string fault_;
  std::size_t compares_left_ = kMaxCompares;
  std::size_t operations_left_ = kMaxOperations;
};

}  // namespace

std::optional<std::string_view> key_of_plain_put(std::string_view command) {
  ByteReader r(command);
  const bool is_known = r.u8() == kCommandVersion;
  const bool is_single = r.u8() == static_cast<std::uint8_t>(CommandKind::single);
  const std::uint8_t flags = r.u8();
  if (!is_known || !is_single || (flags & ~kIdentity) != 0) return std::nullopt;
  if (flags != 0) {
    r.bytes(r.u8());
    r.u64();
  }
  const bool is_put = r.u8() == static_cast<std::uint8_t>(OperationKind::put);
  const std::uint8_t put_flags = r.u8();
  if (!is_put || (put_flags & ~kPutJson) != 0) return std::nullopt;
  return r.bytes(r.u16());
}

Result<Command> decode_command(const SharedBytes& payload) {
  return Decoder(payload).command();
}

}  // namespace vesper::kv
