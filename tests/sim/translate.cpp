#include "sim/translate.hpp"

#include <fmt/core.h>

#include <cstring>
#include <utility>

#include "base/overloaded.hpp"
#include "kv/command.hpp"

namespace vesper::sim {
namespace {

SharedBytes bytes_of(const std::string& text) {
  return SharedBytes::copy_of(text);
}

kv::KeyRange range_of(const Span& span) {
  return {span.start, span.end};
}

std::optional<kv::Match> match_of(const std::optional<Expectation>& expectation) {
  if (!expectation) return std::nullopt;
  return kv::Match{expectation->any, expectation->revisions};
}

kv::RangeQuery range_query_of(const Act& act) {
  kv::RangeQuery query;
  query.range = range_of(act.span);
  query.revision = act.revision;
  query.limit = act.limit;
  query.order = act.descending ? kv::Order::descending : kv::Order::ascending;
  query.content = act.content == Act::Content::values ? kv::Content::values
                  : act.content == Act::Content::keys ? kv::Content::keys
                                                      : kv::Content::count;
  query.separator = act.separator;
  query.prefix_size = act.prefix_size;
  return query;
}

kv::Transaction transaction_of(const Txn& txn);

kv::Operation operation_of(const Act& act) {
  const kv::Prev prev = act.prev ? kv::Prev::include : kv::Prev::omit;
  const auto modify = [&](kv::Modify::Kind kind) {
    kv::Modify change;
    change.kind = kind;
    change.key = bytes_of(act.key);
    change.operand = act.operand;
    change.suffix = bytes_of(act.value);
    return change;
  };
  switch (act.kind) {
    case Act::Kind::put: {
      kv::Put put;
      put.key = bytes_of(act.key);
      if (!act.keep_value) put.value = bytes_of(act.value);
      put.json = act.json && !act.keep_value;
      put.keep_value = act.keep_value;
      put.keep_lease = act.keep_lease;
      put.lease = act.lease;
      put.ttl = nanoseconds(act.ttl);
      put.prev = prev;
      return put;
    }
    case Act::Kind::get: return kv::Get{bytes_of(act.key), act.revision};
    case Act::Kind::range: return kv::GetRange{range_query_of(act)};
    case Act::Kind::remove: return kv::Delete{range_of(act.span), prev};
    case Act::Kind::increment: return modify(kv::Modify::Kind::increment);
    case Act::Kind::append: return modify(kv::Modify::Kind::append);
    case Act::Kind::min: return modify(kv::Modify::Kind::min);
    case Act::Kind::max: return modify(kv::Modify::Kind::max);
    case Act::Kind::restore: return kv::Restore{bytes_of(act.key), act.revision};
    case Act::Kind::nested:
      return kv::Nested{std::make_unique<kv::Transaction>(transaction_of(*act.txn))};
  }
  return kv::Get{};
}

kv::Transaction transaction_of(const Txn& txn) {
  kv::Transaction transaction;
  for (const Check& check : txn.checks) {
    kv::Compare compare;
    compare.range = range_of(check.span);
    compare.target = static_cast<kv::Compare::Target>(static_cast<int>(check.target) + 1);
    compare.op = static_cast<kv::Compare::Op>(static_cast<int>(check.op) + 1);
    compare.number = check.number;
    compare.value = bytes_of(check.value);
    transaction.compares.push_back(std::move(compare));
  }
  for (const Act& act : txn.then) transaction.then.push_back(operation_of(act));
  for (const Act& act : txn.otherwise) transaction.otherwise.push_back(operation_of(act));
  return transaction;
}

// ---- results

std::string text_of_version(const kv::VersionRef& version) {
  return version ? text_of(version->key(), seen_of(version.get()), true) : "-";
}

std::string text_of_result(const kv::OperationResult& result);

std::vector<std::string> texts_of(const std::vector<kv::VersionRef>& versions) {
  std::vector<std::string> texts;
  for (const kv::VersionRef& version : versions) texts.push_back(text_of_version(version));
  return texts;
}

std::string_view name_of(kv::LockResult::State state) {
  static constexpr std::string_view kNames[] = {"granted",  "queued",   "renewed",
                                                "released", "not held", "done"};
  return kNames[static_cast<std::size_t>(state) - 1];
}

std::string text_of_result(const kv::OperationResult& result) {
  return std::visit(
      Overloaded{
          [](const kv::PutResult& put) {
            const Seen written{true, {}, false, put.revision, put.create_revision, put.version};
            return text_of_put(written, text_of_version(put.now), text_of_version(put.prev));
          },
          [](const kv::DeleteResult& remove) {
            return text_of_delete(remove.deleted, texts_of(remove.prev));
          },
          [](const kv::GetResult& get) { return text_of_get(text_of_version(get.found)); },
          [](const kv::RangeResult& range) { return range_text_of(range).text(); },
          [](const kv::TransactionResult& txn) {
            std::vector<std::string> results;
            for (const kv::OperationResult& one : txn.results)
              results.push_back(text_of_result(one));
            return text_of_txn(txn.succeeded, results);
          },
          [](const kv::CompactResult& compact) {
            return fmt::format("oldest {}", compact.oldest_revision);
          },
          [](const kv::LeaseResult& lease) {
            return text_of_lease(lease.lease, lease.ttl.ns, lease.deleted);
          },
          [](const kv::LockResult& lock) {
            return text_of_lock(name_of(lock.state), lock.place, lock.token, lock.ttl.ns);
          },
          [](const kv::AccessResult& access) {
            return fmt::format("tokens({},{},{})", access.id, access.expires.value, access.tokens);
          },
      },
      static_cast<const kv::OperationResult::variant&>(result));
}

Outcome::Kind kind_of(kv::WriteResult::Kind kind) {
  using Theirs = kv::WriteResult::Kind;
  using Ours = Outcome::Kind;
  switch (kind) {
    case Theirs::done: return Ours::done;
    case Theirs::precondition_failed: return Ours::failed;
    case Theirs::not_an_integer: return Ours::not_an_integer;
    case Theirs::out_of_range: return Ours::out_of_range;
    case Theirs::key_reused: return Ours::reused;
    case Theirs::table_full: return Ours::full;
    case Theirs::value_too_large: return Ours::value_too_large;
    case Theirs::reply_too_large: return Ours::reply_too_large;
    case Theirs::range_too_large: return Ours::range_too_large;
    case Theirs::compacted: return Ours::compacted;
    case Theirs::future_revision: return Ours::future;
    case Theirs::conflicting_operations: return Ours::conflict;
    case Theirs::key_not_found: return Ours::not_found;
    case Theirs::quota_exceeded: return Ours::quota;
    case Theirs::lease_not_found: return Ours::no_lease;
    case Theirs::lock_busy: return Ours::busy;
    case Theirs::lock_lost: return Ours::lost;
    case Theirs::fenced: return Ours::fenced;
    case Theirs::table_limit: return Ours::table_limit;
    case Theirs::unauthorized: return Ours::unauthorized;
    case Theirs::forbidden: return Ours::forbidden;
    case Theirs::already_enabled: return Ours::enabled_already;
    case Theirs::token_exists: return Ours::token_exists;
    case Theirs::token_not_found: return Ours::no_token;
  }
  return Ours::done;
}

// The result, or the place of what failed and the figure that goes with it.
std::string detail_of(const kv::WriteResult& result) {
  using Kind = kv::WriteResult::Kind;
  if (result.is_done()) return text_of_result(result.result);
  if (result.kind == Kind::conflicting_operations) return {};
  std::string text;
  for (const kv::WriteResult::Step& step : result.path)
    text += text_of_step(step.branch == kv::WriteResult::Step::Branch::then        ? "then"
                         : step.branch == kv::WriteResult::Step::Branch::otherwise ? "else"
                                                                                   : "if",
                         step.at);
  if (result.kind == Kind::compacted || result.kind == Kind::reply_too_large ||
      result.kind == Kind::lock_busy || result.kind == Kind::lock_lost ||
      result.kind == Kind::fenced || result.kind == Kind::table_limit)
    text += fmt::format("{}", result.limit);
  return text;
}

}  // namespace

LockId id_of(const kv::LockName& lock) {
  return {static_cast<Space>(lock.space), lock.name};
}
kv::LockName lock_of(const LockId& lock) {
  return {static_cast<kv::Space>(lock.space), lock.name};
}

namespace {

std::string command_of_claim(const Claim& claim, const std::optional<kv::IdempotencyKey>& request,
                             const std::optional<kv::Fence>& fence) {
  switch (claim.kind) {
    case Claim::Kind::grant:
      return kv::encode(kv::GrantLease{nanoseconds(claim.ttl), claim.most}, request);
    case Claim::Kind::renew_lease: return kv::encode(kv::RenewLease{claim.number}, request);
    case Claim::Kind::end_lease: return kv::encode(kv::EndLease{claim.number}, request, fence);
    case Claim::Kind::acquire: {
      kv::AcquireLock acquire;
      acquire.lock = lock_of(claim.lock);
      acquire.ttl = nanoseconds(claim.ttl);
      acquire.boot = claim.boot;
      acquire.if_held =
          claim.wait > 0 ? kv::AcquireLock::IfHeld::queue : kv::AcquireLock::IfHeld::refuse;
      acquire.most_locks = claim.most;
      acquire.most_waiters = claim.most_waiters;
      acquire.value = bytes_of(claim.value.value_or(""));
      return kv::encode(acquire, request);
    }
    case Claim::Kind::renew: {
      kv::RenewLock renew{lock_of(claim.lock), claim.number, std::nullopt};
      if (claim.value) renew.value = bytes_of(*claim.value);
      return kv::encode(renew, request);
    }
    case Claim::Kind::release:
      return kv::encode(kv::ReleaseLock{lock_of(claim.lock), claim.number}, request);
  }
  return {};
}

kv::Rule rule_of(const Grant& grant) {
  static constexpr std::string_view kRights = "rwlam";
  return {static_cast<kv::Right>(kRights.find(grant.right) + 1),
          grant.exact ? kv::Rule::Scope::exact : kv::Rule::Scope::prefix, grant.text};
}

kv::SecretHash hash_of(std::uint64_t secret) {
  kv::SecretHash hash{};
  std::memcpy(hash.data(), &secret, sizeof secret);
  return hash;
}

std::string command_of_access(const AccessAct& act) {
  switch (act.kind) {
    case AccessAct::Kind::enable: return kv::encode(kv::EnableAuth{hash_of(act.secret)});
    case AccessAct::Kind::disable: return kv::encode(kv::DisableAuth{});
    case AccessAct::Kind::revoke: return kv::encode(kv::RevokeToken{act.name});
    case AccessAct::Kind::add: break;
  }
  kv::AddToken add{act.name, hash_of(act.secret), nanoseconds(act.ttl), {}};
  for (const Grant& grant : act.grants) add.rules.push_back(rule_of(grant));
  return kv::encode(add);
}

Badge badge_of(const kv::Token& token) {
  Badge badge{token.identity.id, token.expires.value, {}};
  for (const kv::Rule& rule : token.rules)
    badge.grants.push_back(
        {kv::to_string(rule.right).front(), rule.scope == kv::Rule::Scope::exact, rule.text});
  return badge;
}

std::string command_without_identity(const Operation& operation) {
  const kv::Conditions conditions{match_of(operation.if_match), match_of(operation.if_none_match)};
  std::optional<kv::IdempotencyKey> request;
  if (!operation.token.empty()) request = kv::IdempotencyKey{operation.token, {7, operation.body}};
  std::optional<kv::Fence> fence;
  if (operation.fence) fence = kv::Fence{operation.fence->lock.name, operation.fence->token};
  switch (operation.kind) {
    case Operation::Kind::remove: return kv::encode_remove(operation.key, conditions, request);
    case Operation::Kind::act:
      return kv::encode(conditions, operation_of(operation.act), request, fence);
    case Operation::Kind::txn: return kv::encode(transaction_of(*operation.txn), request, fence);
    case Operation::Kind::claim: return command_of_claim(operation.claim, request, fence);
    case Operation::Kind::compact: return kv::encode(kv::Compact{operation.at}, request);
    case Operation::Kind::access: return command_of_access(operation.access);
    case Operation::Kind::put:
    case Operation::Kind::get:
    case Operation::Kind::past:
    case Operation::Kind::history:
    case Operation::Kind::page:
    case Operation::Kind::stream:
    case Operation::Kind::read_txn: break;
  }
  return kv::encode_put(operation.key, operation.value,
                        operation.json ? kv::ValueForm::json : kv::ValueForm::bytes, conditions,
                        request);
}

}  // namespace

std::optional<kv::Identity> identity_of(const std::optional<Who>& who) {
  if (!who) return std::nullopt;
  return kv::Identity{who->name, who->id};
}

std::string command_of(const Operation& operation) {
  const SharedBytes command =
      kv::with_identity(command_without_identity(operation), identity_of(operation.who));
  return std::string(command.view());
}

node::ReadQuery query_of(const Operation& operation) {
  switch (operation.kind) {
    case Operation::Kind::past: return node::ReadKey{operation.key, operation.at};
    case Operation::Kind::history:
      return node::ReadHistory{operation.key, static_cast<std::size_t>(operation.at)};
    case Operation::Kind::page:
      return node::ReadRange{range_query_of(operation.act), node::ReadRange::Form::page,
                             operation.counted};
    case Operation::Kind::stream:
      return node::ReadRange{range_query_of(operation.act), node::ReadRange::Form::stream,
                             std::nullopt};
    case Operation::Kind::read_txn:
      return node::ReadTransaction{
          std::make_shared<const kv::Transaction>(transaction_of(*operation.txn))};
    case Operation::Kind::put:
    case Operation::Kind::remove:
    case Operation::Kind::act:
    case Operation::Kind::txn:
    case Operation::Kind::compact:
    case Operation::Kind::claim:
    case Operation::Kind::access:
    case Operation::Kind::get: break;
  }
  return node::ReadKey{operation.key};
}

Seen seen_of(const kv::Version* version) {
  if (version == nullptr || version->is_tombstone()) return {};
  return {true,
          std::string(version->value()),
          version->json(),
          version->revision(),
          version->create_revision(),
          version->version(),
          version->lease(),
          version->deadline().value};
}

Holdings holdings_of(const kv::Store& store) {
  Holdings holdings;
  for (const auto& [id, lease] : store.leases().items())
    holdings.leases[id] = {static_cast<Lease::State>(lease.state), lease.ttl.ns,
                           lease.deadline.value};
  holdings.needs_tokens = store.access().is_enabled();
  for (const auto& [name, token] : store.access().tokens()) holdings.badges[name] = badge_of(token);
  const kv::Locks& locks = store.locks();
  for (const auto& [lock, holder] : locks.holders()) {
    holdings.holders[id_of(lock)] = {holder.place, holder.token, holder.ttl.ns,
                                     holder.deadline.value};
    for (const std::uint64_t place : locks.queue(lock)) {
      const kv::LockWaiter& waiter = *locks.waiter(place);
      holdings.waiters[place] = {id_of(waiter.lock),
                                 {waiter.session.boot, waiter.session.place},
                                 waiter.claim,
                                 waiter.ttl.ns,
                                 std::string(waiter.value.view()),
                                 std::string(waiter.idempotency_key.view())};
    }
  }
  for (const auto& [lapses, session] : locks.sessions_by_deadline())
    holdings.sessions[{session.boot, session.place}] = lapses.value;
  return holdings;
}

Outcome outcome_of(const Operation& asked, const kv::WriteResult& result) {
  Outcome outcome;
  outcome.kind = kind_of(result.kind);
  outcome.revision = result.revision;
  outcome.current_revision = result.current_revision;
  outcome.replayed = result.replayed;
  outcome.time = result.time.value;
  const auto* lock = result.is_done() ? std::get_if<kv::LockResult>(&result.result) : nullptr;
  if (lock != nullptr) outcome.place = lock->place;
  const auto* lease = result.is_done() ? std::get_if<kv::LeaseResult>(&result.result) : nullptr;
  if (lease != nullptr && asked.claim.kind == Claim::Kind::grant) outcome.place = lease->lease;
  const auto* access = result.is_done() ? std::get_if<kv::AccessResult>(&result.result) : nullptr;
  if (access != nullptr) outcome.place = access->id;
  const bool plain = asked.kind == Operation::Kind::put || asked.kind == Operation::Kind::remove;
  if (outcome.kind == Outcome::Kind::done && plain) {
    if (const auto* put = std::get_if<kv::PutResult>(&result.result)) {
      outcome.kind = Outcome::Kind::put;
      outcome.create_revision = put->create_revision;
      outcome.version = put->version;
      outcome.current_revision = put->revision;
    } else {
      const bool removed = std::get<kv::DeleteResult>(result.result).deleted > 0;
      outcome.kind = removed ? Outcome::Kind::removed : Outcome::Kind::absent;
    }
  } else if (outcome.kind != Outcome::Kind::failed && outcome.kind != Outcome::Kind::reused &&
             outcome.kind != Outcome::Kind::full) {
    outcome.text = detail_of(result);
  }
  return outcome;
}

RangeText range_text_of(const kv::RangeResult& range) {
  RangeText text;
  for (const kv::VersionRef& version : range.kvs)
    text.kvs.push_back(
        text_of(version->key(), seen_of(version.get()), range.content == kv::Content::values));
  text.prefixes = range.prefixes;
  text.count = range.count;
  text.more = range.more;
  text.resume = range.resume;
  return text;
}

std::string text_of(const node::ReadContent& content, std::string_view key) {
  return std::visit(
      Overloaded{
          [&](const node::KeyFound& found) {
            return text_of_get(text_of(key, seen_of(found.version.get()), true));
          },
          [&](const node::HistoryFound& found) {
            std::string texts;
            for (const kv::VersionRef& version : found.versions)
              texts += (version->is_tombstone() ? fmt::format("deleted at {}", version->revision())
                                                : text_of_version(version)) +
                       '|';
            return fmt::format("history({};{})", texts, found.oldest_revision);
          },
          [](const node::RangeFound& found) {
            RangeText page = range_text_of(found.page);
            page.resume.clear();
            return fmt::format("page at {}: {}", found.revision, page.text());
          },
          [](const node::StreamFound& found) {
            return fmt::format("stream at {}", found.stream->revision());
          },
          [](const kv::WriteResult& result) {
            return fmt::format("{} {}", static_cast<int>(kind_of(result.kind)), detail_of(result));
          },
          [](const node::RevisionUnreadable& found) {
            return fmt::format("{} {}", found.future ? "future" : "compacted",
                               found.oldest_revision);
          },
          [](const node::LeaseFound&) { return std::string("lease"); },
          [](const node::LeasesFound& found) { return fmt::format("{} leases", found.count); },
          [](const node::LockFound& found) {
            return fmt::format("lock held with {}", found.held ? found.held->token : 0);
          },
          [](const node::LocksFound& found) { return fmt::format("{} locks", found.count); },
          [](const node::AccessIsFresh&) { return std::string("fresh"); },
      },
      content);
}

}  // namespace vesper::sim
