#include "kv/rights.hpp"

#include "base/overloaded.hpp"

namespace vesper::kv {
namespace {

std::optional<Lack> lack_of_operation(const Token& token, const Operation& operation) {
  const auto key = [&](Right right, const SharedBytes& name) {
    return find_lack_of_key(token, right, name.view());
  };
  const auto shows = [](Prev prev) { return prev == Prev::include; };
  return std::visit(
      Overloaded{
          [&](const Put& put) {
            auto lack = key(Right::write, put.key);
            return lack || !shows(put.prev) ? lack : key(Right::read, put.key);
          },
          [&](const Get& get) { return key(Right::read, get.key); },
          [&](const GetRange& get) { return find_lack(token, Right::read, get.query.range); },
          [&](const Delete& remove) {
            auto lack = find_lack(token, Right::write, remove.range);
            return lack || !shows(remove.prev) ? lack : find_lack(token, Right::read, remove.range);
          },
          [&](const Modify& modify) {
            auto lack = key(Right::write, modify.key);
            return lack ? lack : key(Right::read, modify.key);
          },
          [&](const Restore& restore) {
            auto lack = key(Right::write, restore.key);
            return lack ? lack : key(Right::read, restore.key);
          },
          [&](const Nested& nested) { return find_lack(token, *nested.transaction); },
      },
      operation);
}

std::optional<Lack> lack_of_compare(const Token& token, const Compare& compare) {
  switch (compare.target) {
    case Compare::Target::lock: return find_lack(token, Right::lock, compare.range);
    case Compare::Target::value: return find_lack(token, Right::read, compare.range);
    case Compare::Target::revision:
    case Compare::Target::create_revision:
    case Compare::Target::version:
    case Compare::Target::lease:
    case Compare::Target::exists: break;
  }
  if (token.covers(Right::read, Right::write, compare.range)) return std::nullopt;
  return Lack{Right::read, compare.range};
}

}  // namespace

std::optional<Lack> find_lack(const Token& token, Right right) {
  if (token.has(right)) return std::nullopt;
  return Lack{right, {}};
}

std::optional<Lack> find_lack(const Token& token, Right right, const KeyRange& range) {
  if (range.is_single_key()) return find_lack_of_key(token, right, range.start);
  if (token.covers(right, range)) return std::nullopt;
  return Lack{right, range};
}

std::optional<Lack> find_lack_of_key(const Token& token, Right right, std::string_view key) {
  if (token.covers_key(right, key)) return std::nullopt;
  return Lack{right, KeyRange::of_key(key)};
}

std::optional<Lack> find_lack(const Token& token, const Transaction& transaction) {
  for (const Compare& compare : transaction.compares)
    if (auto lack = lack_of_compare(token, compare)) return lack;
  for (const auto* branch : {&transaction.then, &transaction.otherwise})
    for (const Operation& operation : *branch)
      if (auto lack = lack_of_operation(token, operation)) return lack;
  return std::nullopt;
}

// Most writes are plain puts, and need not be decoded twice.
std::optional<Lack> find_lack(const Token& token, const SharedBytes& command) {
  if (const auto key = key_of_plain_put(command.view()))
    return find_lack_of_key(token, Right::write, *key);
  const Result<Command> decoded = decode_command(command);
  VESPER_ASSERT(decoded.ok());
  return find_lack(token, *decoded);
}

std::optional<Lack> find_lack(const Token& token, const Command& command) {
  if (command.fence)
    if (auto lack = find_lack_of_key(token, Right::lock, command.fence->name)) return lack;
  const auto lock = [&](const LockName& name) {
    return find_lack_of_key(token, Right::lock, name.name);
  };
  return std::visit(
      Overloaded{
          [&](const Single& single) { return lack_of_operation(token, single.operation); },
          [&](const Transaction& transaction) { return find_lack(token, transaction); },
          [&](const GrantLease&) { return find_lack(token, Right::write); },
          [&](const RenewLease&) { return find_lack(token, Right::write); },
          [&](const EndLease&) { return find_lack(token, Right::write); },
          [&](const AcquireLock& acquire) { return lock(acquire.lock); },
          [&](const RenewLock& renew) { return lock(renew.lock); },
          [&](const ReleaseLock& release) { return lock(release.lock); },
          [&](const Compact&) { return find_lack(token, Right::admin); },
          [&](const EnableAuth&) { return find_lack(token, Right::admin); },
          [&](const DisableAuth&) { return find_lack(token, Right::admin); },
          [&](const AddToken&) { return find_lack(token, Right::admin); },
          [&](const RevokeToken&) { return find_lack(token, Right::admin); },
          // Only servers propose these.
          [](const SetQuota&) { return std::optional<Lack>(); },
          [](const LeaveQueue&) { return std::optional<Lack>(); },
          [](const KeepPlaces&) { return std::optional<Lack>(); },
          [](const Expire&) { return std::optional<Lack>(); },
      },
      command.body);
}

}  // namespace vesper::kv
