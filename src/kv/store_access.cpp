// The part of the store that judges the token behind a write, and carries out the commands about
// tokens. Neither takes a revision: a write that follows a revocation in the log has a higher
// revision than the store had then, or is refused.
#include <utility>

#include "kv/rights.hpp"
#include "kv/store.hpp"

namespace vesper::kv {

using Kind = WriteResult::Kind;

// Nothing: the client may have the command carried out.
std::optional<WriteResult> Store::refuse_client(const Command& command, LogTime now) const {
  if (!access_.is_enabled() || is_of_server(command)) return std::nullopt;
  const Token* token = command.identity ? access_.find(*command.identity, now) : nullptr;
  if (token == nullptr) return refuse(Kind::unauthorized);
  auto lack = find_lack(*token, command);
  const auto* end = std::get_if<EndLease>(&command.body);
  if (!lack && end != nullptr && !covers_keys_of_lease(*token, end->lease))
    lack = Lack{Right::write, {}};
  if (!lack) return std::nullopt;
  WriteResult refused = refuse(Kind::forbidden);
  refused.missing = lack->right;
  return refused;
}

// Whoever ends a lease deletes its keys. Goes from rule to rule, not from key to key.
bool Store::covers_keys_of_lease(const Token& token, std::uint64_t lease) const {
  const auto& keys = keyspace_.temporary_keys().of_lease(lease);
  for (auto at = keys.begin(); at != keys.end();) {
    const auto end = token.reach(Right::write, (*at)->key());
    if (!end) return false;
    if (end->empty()) return true;
    at = keys.lower_bound(std::string_view(*end));
  }
  return true;
}

WriteResult Store::carry_out(const EnableAuth& enable, const Stamp& stamp) {
  if (access_.is_enabled() && enable.by == EnableAuth::By::client)
    return refuse(Kind::already_enabled);
  access_.forget_expired(stamp.now);
  const std::string root(kRootToken);
  if (access_.find(root, stamp.now) == nullptr && access_.size() >= kMaxTokens)
    return refuse(Kind::table_limit, kMaxTokens);
  access_.set({{root, stamp.index}, enable.hash, kEndOfLogTime, all_rights()});
  access_.set_enabled(true);
  return result_now(AccessResult{stamp.index, kEndOfLogTime, access_.size()});
}

WriteResult Store::carry_out(const DisableAuth&, const Stamp&) {
  access_.set_enabled(false);
  return result_now(AccessResult{.tokens = access_.size()});
}

WriteResult Store::carry_out(const AddToken& add, const Stamp& stamp) {
  access_.forget_expired(stamp.now);
  if (access_.find(add.name, stamp.now) != nullptr) return refuse(Kind::token_exists);
  if (access_.size() >= kMaxTokens) return refuse(Kind::table_limit, kMaxTokens);
  const LogTime expires = add.ttl.ns == 0 ? kEndOfLogTime : later(stamp.now, add.ttl);
  access_.set({{add.name, stamp.index}, add.hash, expires, add.rules});
  return result_now(AccessResult{stamp.index, expires, access_.size()});
}

WriteResult Store::carry_out(const RevokeToken& revoke, const Stamp& stamp) {
  access_.forget_expired(stamp.now);
  if (access_.find(revoke.name, stamp.now) == nullptr) return refuse(Kind::token_not_found);
  access_.remove(revoke.name);
  return result_now(AccessResult{.tokens = access_.size()});
}

}  // namespace vesper::kv
