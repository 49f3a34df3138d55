// The tokens of clients, and whether clients need one. Part of the replicated state. A token is
// known by the SHA-256 of its secret only. Its rules never change: to change them, revoke the token
// and add another one. What a request needs is in rights.hpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "kv/export_map.hpp"
#include "kv/key_range.hpp"
#include "kv/log_time.hpp"

namespace vesper::kv {

// These must stay equal on all servers in every version, because they decide the outcome of a
// write.
inline constexpr std::size_t kMaxTokens = 1000;
inline constexpr std::size_t kMaxRules = 64;             // of one token; at least 1
inline constexpr std::size_t kMaxRuleBytes = 16u << 10;  // of the texts of one token's rules
inline constexpr std::size_t kMaxTokenName = 64;         // bytes; at least 1

// The name of the token that EnableAuth makes, with every right.
inline constexpr std::string_view kRootToken = "root";

// SHA-256 of a secret.
inline constexpr std::size_t kSecretHashBytes = 32;
using SecretHash = std::array<char, kSecretHashBytes>;

// ASCII letters, digits, '-', '_' and '.', 1 to kMaxTokenName bytes.
bool is_token_name(std::string_view name);

// The token behind a request. The id is the index of the log entry that created the token, so a
// later token of the same name is another identity.
struct Identity {
  std::string name;
  std::uint64_t id = 0;

  bool operator==(const Identity&) const = default;
};

// The values are those of the byte form, here and below.
enum class Right : std::uint8_t { read = 1, write = 2, lock = 3, admin = 4, metrics = 5 };
std::string_view to_string(Right right);
// Whether the right is given for keys or names, and not as a whole.
constexpr bool has_scope(Right right) {
  return right <= Right::lock;
}

// Gives one right. `read` and `write` are for keys, `lock` for the names of locks and elections.
struct Rule {
  enum class Scope : std::uint8_t { prefix = 0, exact = 1 };
  Right right = Right::read;
  Scope scope = Scope::prefix;
  // The prefix, or the key or name; up to kMaxKey bytes, and not empty if exact. Empty for a right
  // without scope.
  std::string text;

  bool operator==(const Rule&) const = default;
};

struct Token {
  Identity identity;
  SecretHash hash{};
  LogTime expires = kEndOfLogTime;
  std::vector<Rule> rules;

  bool operator==(const Token&) const = default;

  bool has(Right right) const;  // for at least one key or name
  // Whether the rules give one of the two rights for the whole range: each key in it lies in a
  // rule. An empty range needs nothing.
  bool covers(Right right, const KeyRange& range) const { return covers(right, right, range); }
  bool covers(Right right, Right other, const KeyRange& range) const;
  bool covers_key(Right right, std::string_view key) const;
  // Nothing if no rule gives the right for `key`. Else the end of the range from `key` on for which
  // one rule gives it; empty: to the end.
  std::optional<std::string> reach(Right right, std::string_view key) const {
    return reach(right, right, key);
  }
  std::optional<std::string> reach(Right right, Right other, std::string_view key) const;
};

// Every right.
std::vector<Rule> all_rights();

class Access {
 public:
  bool is_enabled() const { return enabled_; }
  void set_enabled(bool enabled) { enabled_ = enabled; }

  const ExportMap<std::string, Token>::Items& tokens() const { return tokens_.items(); }
  std::size_t size() const { return tokens_.size(); }
  // Null if there is no such token, if it has expired, or if another one has its name now. Valid
  // until the next change.
  const Token* find(const Identity& identity, LogTime now) const;
  // Null if no token has this name and lasts at `now`.
  const Token* find(const std::string& name, LogTime now) const;
  // Calls visit(const Token&) for each token whose hash begins like this one, usually at most one.
  // It may have expired, and the caller compares the hashes.
  template <typename Visit>
  void for_candidates(const SecretHash& hash, const Visit& visit) const {
    for (auto [at, end] = by_hash_.equal_range(start_of(hash)); at != end; ++at)
      visit(*tokens_.find(at->second));
  }

  // Adds a token, or replaces the one of this name.
  void set(Token token);
  // Requires that there is one.
  void remove(const std::string& name);
  // Removes the tokens that have expired.
  void forget_expired(LogTime now);

  Id128 digest() const { return sum_; }  // of the tokens
  Id128 recomputed_digest() const;

  // For snapshots; see ExportMap. export_next() writes the byte form of a token:
  //   u8 length, name   u64 id   32 bytes hash   i64 expires   rules
  //   rules: u8 count, for each: u8 right   u8 scope   u16 length, text
  void begin_export() { tokens_.begin_export(); }
  bool export_next(ByteWriter& w);
  void end_export() { tokens_.end_export(); }
  // Reads one. False, and r.ok(), if it is out of order or out of range.
  [[nodiscard]] bool import_next(ByteReader& r);

 private:
  static std::uint64_t start_of(const SecretHash& hash);
  void forget(const Token& token);

  bool enabled_ = false;
  ExportMap<std::string, Token> tokens_;
  std::multimap<std::uint64_t, std::string> by_hash_;  // names, by the start of the hash
  Id128 sum_;
};

// The byte form of rules, as above. read_rules() returns false if a rule is malformed. If bytes are
// missing, r.ok() is false and the result is meaningless.
void write_rules(ByteWriter& w, const std::vector<Rule>& rules);
[[nodiscard]] bool read_rules(ByteReader& r, std::vector<Rule>& rules);

}  // namespace vesper::kv
