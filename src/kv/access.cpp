#include "kv/access.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/checksum.hpp"
#include "kv/digest.hpp"
#include "kv/item.hpp"

namespace vesper::kv {
namespace {

// Must never change: nodes of different versions compare their digests.
constexpr std::uint64_t kTokenSeed = 0x71c4e9a2580d3bf6;

KeyRange range_of(const Rule& rule) {
  return rule.scope == Rule::Scope::exact ? KeyRange::of_key(rule.text)
                                          : KeyRange::of_prefix(rule.text);
}

bool contains(const Rule& rule, std::string_view key) {
  return rule.scope == Rule::Scope::exact ? key == rule.text : key.starts_with(rule.text);
}

bool is_valid(const Rule& rule) {
  if (!has_scope(rule.right)) return rule.scope == Rule::Scope::prefix && rule.text.empty();
  return rule.scope == Rule::Scope::prefix || !rule.text.empty();
}

void write_token(ByteWriter& w, const Token& token) {
  w.u8(static_cast<std::uint8_t>(token.identity.name.size()));
  w.bytes(token.identity.name);
  w.u64(token.identity.id);
  w.bytes({token.hash.data(), token.hash.size()});
  w.i64(token.expires.value);
  write_rules(w, token.rules);
}

Id128 digest_of(const Token& token) {
  return digest_of_form(kTokenSeed, [&](ByteWriter& w) { write_token(w, token); });
}

}  // namespace

bool is_token_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kMaxTokenName &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

std::string_view to_string(Right right) {
  switch (right) {
    case Right::read: return "read";
    case Right::write: return "write";
    case Right::lock: return "lock";
    case Right::admin: return "admin";
    case Right::metrics: return "metrics";
  }
  VESPER_UNREACHABLE();
}

// ---- rules

bool Token::has(Right right) const {
  return std::any_of(rules.begin(), rules.end(),
                     [right](const Rule& rule) { return rule.right == right; });
}

bool Token::covers_key(Right right, std::string_view key) const {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const Rule& rule) { return rule.right == right && contains(rule, key); });
}

std::optional<std::string> Token::reach(Right right, Right other, std::string_view key) const {
  std::optional<std::string> reached;
  for (const Rule& rule : rules) {
    if (rule.right != right && rule.right != other) continue;
    if (!contains(rule, key)) continue;
    KeyRange range = range_of(rule);
    if (range.is_to_the_end()) return std::string();
    if (!reached || range.end > *reached) reached = std::move(range.end);
  }
  return reached;
}

// Several rules may cover a range together. Goes from its start to its end, each step as far as a
// rule reaches.
bool Token::covers(Right right, Right other, const KeyRange& range) const {
  std::string at = range.start;
  while (range.is_to_the_end() || at < range.end) {
    auto end = reach(right, other, at);
    if (!end) return false;
    if (end->empty()) return true;
    at = std::move(*end);
  }
  return true;
}

std::vector<Rule> all_rights() {
  std::vector<Rule> rules;
  for (const Right right : {Right::read, Right::write, Right::lock, Right::admin, Right::metrics})
    rules.push_back({right, Rule::Scope::prefix, {}});
  return rules;
}

void write_rules(ByteWriter& w, const std::vector<Rule>& rules) {
  VESPER_ASSERT(!rules.empty() && rules.size() <= kMaxRules);
  w.u8(static_cast<std::uint8_t>(rules.size()));
  for (const Rule& rule : rules) {
    VESPER_ASSERT(is_valid(rule) && rule.text.size() <= kMaxKey);
    w.u8(static_cast<std::uint8_t>(rule.right));
    w.u8(static_cast<std::uint8_t>(rule.scope));
    w.u16(static_cast<std::uint16_t>(rule.text.size()));
    w.bytes(rule.text);
  }
}

bool read_rules(ByteReader& r, std::vector<Rule>& rules) {
  const std::size_t count = r.u8();
  std::size_t bytes = 0;
  if (r.ok() && (count == 0 || count > kMaxRules)) return false;
  for (std::size_t i = 0; i < count && r.ok(); ++i) {
    const std::uint8_t right = r.u8();
    const std::uint8_t scope = r.u8();
    const std::size_t size = r.u16();
    if (!r.ok()) break;
    if (right < static_cast<std::uint8_t>(Right::read) ||
        right > static_cast<std::uint8_t>(Right::metrics) ||
        scope > static_cast<std::uint8_t>(Rule::Scope::exact) || size > kMaxKey ||
        (bytes += size) > kMaxRuleBytes)
      return false;
    Rule rule{static_cast<Right>(right), static_cast<Rule::Scope>(scope),
              std::string(r.bytes(size))};
    if (r.ok() && !is_valid(rule)) return false;
    rules.push_back(std::move(rule));
  }
  return true;
}

// ---- tokens

std::uint64_t Access::start_of(const SecretHash& hash) {
  std::uint64_t start = 0;
  std::memcpy(&start, hash.data(), sizeof start);
  return start;
}

const Token* Access::find(const std::string& name, LogTime now) const {
  const Token* token = tokens_.find(name);
  return token != nullptr && token->expires > now ? token : nullptr;
}

const Token* Access::find(const Identity& identity, LogTime now) const {
  const Token* token = find(identity.name, now);
  return token != nullptr && token->identity.id == identity.id ? token : nullptr;
}

void Access::set(Token token) {
  if (const Token* before = tokens_.find(token.identity.name)) forget(*before);
  by_hash_.emplace(start_of(token.hash), token.identity.name);
  sum_ = plus(sum_, digest_of(token));
  const std::string name = token.identity.name;
  tokens_.set(name, std::move(token));
}

void Access::forget(const Token& token) {
  auto [at, end] = by_hash_.equal_range(start_of(token.hash));
  while (at != end && at->second != token.identity.name) ++at;
  VESPER_ASSERT(at != end);
  by_hash_.erase(at);
  sum_ = minus(sum_, digest_of(token));
}

void Access::remove(const std::string& name) {
  forget(*tokens_.find(name));
  tokens_.remove(name);
}

void Access::forget_expired(LogTime now) {
  std::vector<std::string> expired;
  for (const auto& [name, token] : tokens_.items())
    if (token.expires <= now) expired.push_back(name);
  for (const std::string& name : expired) remove(name);
}

Id128 Access::recomputed_digest() const {
  Id128 sum;
  for (const auto& [name, token] : tokens_.items()) sum = plus(sum, digest_of(token));
  return sum;
}

bool Access::export_next(ByteWriter& w) {
  return tokens_.export_next(
      [&w](const std::string&, const Token& token) { write_token(w, token); });
}

bool Access::import_next(ByteReader& r) {
  Token token;
  token.identity.name = r.bytes(r.u8());
  token.identity.id = r.u64();
  const std::string_view hash = r.bytes(kSecretHashBytes);
  token.expires = LogTime{r.i64()};
  if (!r.ok()) return true;
  if (!read_rules(r, token.rules)) return false;
  if (!r.ok()) return true;
  std::copy(hash.begin(), hash.end(), token.hash.begin());
  if (!is_token_name(token.identity.name) || token.identity.id == 0 || token.expires.value <= 0)
    return false;
  if (!tokens_.empty() && tokens_.items().rbegin()->first >= token.identity.name) return false;
  if (size() >= kMaxTokens) return false;
  set(std::move(token));
  return true;
}

}  // namespace vesper::kv
