// The reader. transaction_results.cpp renders the replies.
#include "api/transaction_json.hpp"

#include <fmt/core.h>

#include <memory>
#include <string>
#include <utility>

#include "api/json_fields.hpp"
#include "api/read_options.hpp"
#include "kv/command.hpp"
#include "kv/item.hpp"

namespace vesper::api {
namespace {

using Path = JsonPath;

struct CompareName {
  std::string_view name;
  kv::Compare::Target target;
};
constexpr CompareName kTargets[] = {
    {"revision", kv::Compare::Target::revision},
    {"create_revision", kv::Compare::Target::create_revision},
    {"version", kv::Compare::Target::version},
    {"lease", kv::Compare::Target::lease},
    {"exists", kv::Compare::Target::exists},
    {"value", kv::Compare::Target::value},
    {"value_base64", kv::Compare::Target::value},
};

// What a compare, a get or a delete covers.
struct Covered {
  enum class Kind : std::uint8_t { nothing, key, prefix, range };
  Kind kind = Kind::nothing;
  JsonBytes key;
  kv::KeyRange range;
  std::size_t prefix_size = 0;
  std::string_view member = "key";  // the first one that names the range
};

// Reads a transaction, nested ones included, and counts what is bounded over all of them. Every
// function returns false once it has recorded a problem in fields_.
class TransactionReader {
 public:
  explicit TransactionReader(std::size_t max_value) : fields_(max_value) {}

  bool read(const Path& path, json::Value value, kv::Transaction& out);
  Problem& problem() { return fields_.problem(); }

 private:
  // Reads an array of compares or operations. `read` counts across nested transactions.
  struct Bound {
    std::size_t& read;
    std::size_t most;
    std::string_view of;
  };
  template <typename Element>
  bool read_list(const Path& path, json::Value value, Bound bound,
                 bool (TransactionReader::*read_one)(const Path&, json::Value, Element&),
                 std::vector<Element>& out);
  bool read_compares(const Path& path, json::Value value, std::vector<kv::Compare>& out);
  bool read_compare(const Path& path, json::Value value, kv::Compare& out);
  bool read_lock_compare(const Path& path, json::Value value, kv::Compare& out);
  bool read_operand(const Path& path, json::Value object, std::string_view name, kv::Compare& out);
  bool read_op(const Path& path, json::Value object, kv::Compare& out);
  bool read_covered(const Path& path, json::Value object, Covered& out);

  bool read_operations(const Path& path, json::Value value, std::vector<kv::Operation>& out);
  bool read_operation(const Path& path, json::Value value, kv::Operation& out);
  bool read_put(const Path& path, json::Value value, kv::Operation& out);
  bool read_lifetime(const Path& path, json::Value value, kv::Put& out);
  bool read_get(const Path& path, json::Value value, kv::Operation& out);
  bool read_get_range(const Path& path, json::Value value, Covered covered, kv::RangeQuery& out);
  bool read_revision(const Path& path, json::Value object, std::uint64_t& out);
  bool read_delete(const Path& path, json::Value value, kv::Operation& out);
  bool read_increment(const Path& path, json::Value value, kv::Operation& out);
  bool read_append(const Path& path, json::Value value, kv::Operation& out);
  bool read_min(const Path& path, json::Value value, kv::Operation& out);
  bool read_max(const Path& path, json::Value value, kv::Operation& out);
  bool read_bound(const Path& path, json::Value value, kv::Modify& out);
  bool read_restore(const Path& path, json::Value value, kv::Operation& out);
  bool read_nested(const Path& path, json::Value value, kv::Operation& out);

  FieldReader fields_;
  std::size_t depth_ = 0;  // of the transactions that are being read
  std::size_t compares_ = 0;
  std::size_t operations_ = 0;
};

bool TransactionReader::read(const Path& path, json::Value value, kv::Transaction& out) {
  if (!fields_.check_members(path, value, {"if", "then", "else"})) return false;
  ++depth_;
  const json::Value compares = value.find("if"), then = value.find("then"),
                    otherwise = value.find("else");
  if (compares.exists() && !read_compares(path.member("if"), compares, out.compares)) return false;
  if (!read_operations(path.member("then"), then, out.then)) return false;
  if (otherwise.exists() && !read_operations(path.member("else"), otherwise, out.otherwise))
    return false;
  --depth_;
  return true;
}

template <typename Element>
bool TransactionReader::read_list(const Path& path, json::Value value, Bound bound,
                                  bool (TransactionReader::*read_one)(const Path&, json::Value,
                                                                      Element&),
                                  std::vector<Element>& out) {
  if (value.kind() != json::Kind::array) return fields_.fail_type(path, value, "an array");
  for (const auto& element : value) {
    const Path at = path.element(out.size());
    if (++bound.read > bound.most)
      return fields_.fail_limit(
          at, fmt::format("exceeds the {} {} of a transaction", bound.most, bound.of), bound.most);
    if (!(this->*read_one)(at, element.value, out.emplace_back())) return false;
  }
  return true;
}

// ---- compares

bool TransactionReader::read_compares(const Path& path, json::Value value,
                                      std::vector<kv::Compare>& out) {
  return read_list(path, value, {compares_, kv::kMaxCompares, "compares"},
                   &TransactionReader::read_compare, out);
}

bool TransactionReader::read_compare(const Path& path, json::Value value, kv::Compare& out) {
  if (value.find(kLock.text).exists() || value.find(kLock.base64).exists())
    return read_lock_compare(path, value, out);
  if (!fields_.check_members(path, value,
                             {"key", "key_base64", "prefix", "prefix_base64", "start",
                              "start_base64", "end", "end_base64", "revision", "create_revision",
                              "version", "lease", "exists", "value", "value_base64", "op"}))
    return false;
  Covered covered;
  if (!read_covered(path, value, covered)) return false;
  if (covered.kind == Covered::Kind::nothing)
    return fields_.fail(path.member("key"), "is missing, and so are prefix, start and end");
  out.range = std::move(covered.range);

  const CompareName* chosen = nullptr;
  for (const CompareName& known : kTargets) {
    if (!value.find(known.name).exists()) continue;
    if (chosen != nullptr)
      return fields_.fail(path.member(known.name), fmt::format("conflicts with {}", chosen->name));
    chosen = &known;
  }
  if (chosen == nullptr)
    return fields_.fail(path,
                        "compares nothing; expected one of: revision, create_revision, version, "
                        "lease, exists, value");
  out.target = chosen->target;
  return read_operand(path, value, chosen->name, out) && read_op(path, value, out);
}

// {"lock":NAME,"token":N}: whether the lock or the election is held with this token.
bool TransactionReader::read_lock_compare(const Path& path, json::Value value, kv::Compare& out) {
  JsonBytes name;
  if (!fields_.check_members(path, value, {"lock", "lock_base64", "token"}) ||
      !fields_.read_bound(path, value, kLock, FieldReader::Empty::refused, name))
    return false;
  out.target = kv::Compare::Target::lock;
  out.range = kv::KeyRange::of_key(name.view());
  const json::Value token = value.find("token");
  if (!token.exists()) return fields_.fail_missing(path.member("token"));
  return fields_.read_unsigned(path.member("token"), token, 1, kEndOfRevisions - 1, out.number);
}

// The right side of the compare.
bool TransactionReader::read_operand(const Path& path, json::Value object, std::string_view name,
                                     kv::Compare& out) {
  if (out.target == kv::Compare::Target::value) return fields_.read_value(path, object, out.value);
  if (out.target != kv::Compare::Target::exists)
    return fields_.read_unsigned(path.member(name), object.find(name), 0, UINT64_MAX, out.number);
  bool exists = false;
  if (!fields_.read_flag(path, object, name, exists)) return false;
  out.number = exists ? 1 : 0;
  return true;
}

bool TransactionReader::read_op(const Path& path, json::Value object, kv::Compare& out) {
  const json::Value value = object.find("op");
  if (!value.exists()) return true;
  const std::string_view text = value.string().value_or(std::string_view());
  if (text == "=") out.op = kv::Compare::Op::equal;
  else if (text == "!=") out.op = kv::Compare::Op::not_equal;
  else if (text == "<") out.op = kv::Compare::Op::less;
  else if (text == ">") out.op = kv::Compare::Op::greater;
  else return fields_.fail(path.member("op"), "must be \"=\", \"!=\", \"<\" or \">\"");
  return true;
}

// One of key, prefix, and start with or without end. The caller decides whether one is required.
bool TransactionReader::read_covered(const Path& path, json::Value object, Covered& out) {
  JsonBytes prefix, start, end;
  using Empty = FieldReader::Empty;
  if (!fields_.read_bound(path, object, kKey, Empty::refused, out.key) ||
      !fields_.read_bound(path, object, kPrefix, Empty::allowed, prefix) ||
      !fields_.read_bound(path, object, kStart, Empty::refused, start) ||
      !fields_.read_bound(path, object, kEnd, Empty::refused, end))
    return false;
  const bool has_range = start.exists() || end.exists();
  const JsonBytes& bound = start.exists() ? start : end;
  if (out.key.exists() && (prefix.exists() || has_range))
    return fields_.fail(path.member(prefix.exists() ? prefix.member() : bound.member()),
                        fmt::format("conflicts with {}", out.key.member()));
  if (prefix.exists() && has_range)
    return fields_.fail(path.member(bound.member()),
                        fmt::format("conflicts with {}", prefix.member()));
  if (out.key.exists()) {
    out.kind = Covered::Kind::key;
    out.range = kv::KeyRange::of_key(out.key.view());
  } else if (prefix.exists()) {
    out.kind = Covered::Kind::prefix;
    out.member = prefix.member();
    out.range = kv::KeyRange::of_prefix(prefix.view());
    out.prefix_size = prefix.view().size();
  } else if (has_range) {
    out.kind = Covered::Kind::range;
    out.member = bound.member();
    out.range = {std::string(start.view()), std::string(end.view())};
    if (out.range.is_empty())
      return fields_.fail(path.member(end.member()),
                          fmt::format("must be above {}", start.member()));
  }
  return true;
}

// ---- operations

bool TransactionReader::read_operations(const Path& path, json::Value value,
                                        std::vector<kv::Operation>& out) {
  return read_list(path, value, {operations_, kv::kMaxOperations, "operations"},
                   &TransactionReader::read_operation, out);
}

bool TransactionReader::read_operation(const Path& path, json::Value value, kv::Operation& out) {
  struct Known {
    std::string_view name;
    bool (TransactionReader::*read)(const Path&, json::Value, kv::Operation&);
  };
  static constexpr Known kKnown[] = {
      {"put", &TransactionReader::read_put},
      {"get", &TransactionReader::read_get},
      {"delete", &TransactionReader::read_delete},
      {"increment", &TransactionReader::read_increment},
      {"append", &TransactionReader::read_append},
      {"min", &TransactionReader::read_min},
      {"max", &TransactionReader::read_max},
      {"restore", &TransactionReader::read_restore},
      {"txn", &TransactionReader::read_nested},
  };
  if (!fields_.check_members(
          path, value,
          {"put", "get", "delete", "increment", "append", "min", "max", "restore", "txn"}))
    return false;
  auto member = value.begin();
  if (member == value.end()) return fields_.fail(path, "names no operation");
  const auto [name, content] = *member;
  if (++member != value.end())
    return fields_.fail(path.member((*member).name),
                        fmt::format("conflicts with {}: an element has one operation", name));
  for (const Known& known : kKnown)
    if (known.name == name) return (this->*known.read)(path.member(name), content, out);
  VESPER_UNREACHABLE();
}

bool TransactionReader::read_put(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(path, value,
                             {"key", "key_base64", "value", "value_base64", "json", "prev",
                              "keep_value", "keep_ttl", "ttl", "lease"}))
    return false;
  auto& put = out.emplace<kv::Put>();
  bool prev = false;
  if (!fields_.read_key(path, value, put.key) ||
      !fields_.read_flag(path, value, "json", put.json) ||
      !fields_.read_flag(path, value, "prev", prev) ||
      !fields_.read_flag(path, value, "keep_value", put.keep_value) ||
      !read_lifetime(path, value, put))
    return false;
  if (prev) put.prev = kv::Prev::include;
  if (!put.keep_value)
    return put.json ? fields_.read_json_value(path, value, put.value)
                    : fields_.read_value(path, value, put.value);
  for (const std::string_view name : {"value", "value_base64", "json"})
    if (value.find(name).exists())
      return fields_.fail(path.member(name), "conflicts with keep_value");
  return true;
}

// How long the key lives: at most one of keep_ttl, ttl and lease.
bool TransactionReader::read_lifetime(const Path& path, json::Value value, kv::Put& out) {
  if (!fields_.read_flag(path, value, "keep_ttl", out.keep_lease) ||
      !fields_.read_duration(path, value, "ttl", out.ttl))
    return false;
  const json::Value lease = value.find("lease");
  if (lease.exists() &&
      !fields_.read_unsigned(path.member("lease"), lease, 1, UINT64_MAX, out.lease))
    return false;
  const bool has_ttl = out.ttl.ns != 0;
  if (lease.exists() && has_ttl) return fields_.fail(path.member("ttl"), "conflicts with lease");
  if (out.keep_lease && (lease.exists() || has_ttl))
    return fields_.fail(path.member("keep_ttl"),
                        has_ttl ? "conflicts with ttl" : "conflicts with lease");
  return true;
}

// A revision to read at.
bool TransactionReader::read_revision(const Path& path, json::Value object, std::uint64_t& out) {
  return fields_.read_unsigned(path.member("revision"), object.find("revision"), 1,
                               kEndOfRevisions - 1, out);
}

bool TransactionReader::read_get(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(
          path, value,
          {"key", "key_base64", "prefix", "prefix_base64", "start", "start_base64", "end",
           "end_base64", "limit", "reverse", "keys_only", "count_only", "separator", "revision"}))
    return false;
  Covered covered;
  std::uint64_t revision = 0;
  if (!read_covered(path, value, covered)) return false;
  if (value.find("revision").exists() && !read_revision(path, value, revision)) return false;
  if (covered.kind == Covered::Kind::nothing)
    return fields_.fail(path.member("key"),
                        "is missing, and so are prefix, start and end; the prefix \"\" covers all "
                        "keys");
  if (covered.kind != Covered::Kind::key) {
    auto& get = out.emplace<kv::GetRange>();
    get.query.revision = revision;
    return read_get_range(path, value, std::move(covered), get.query);
  }
  for (const std::string_view name : {"limit", "reverse", "keys_only", "count_only", "separator"})
    if (value.find(name).exists())
      return fields_.fail(path.member(name), "goes with prefix, start or end only");
  out.emplace<kv::Get>(kv::Get{SharedBytes::copy_of(covered.key.view()), revision});
  return true;
}

bool TransactionReader::read_get_range(const Path& path, json::Value value, Covered covered,
                                       kv::RangeQuery& out) {
  out.range = std::move(covered.range);
  out.limit = kDefaultLimit;
  if (const json::Value limit = value.find("limit"); limit.exists()) {
    std::uint64_t number = 0;
    if (!fields_.read_unsigned(path.member("limit"), limit, 1, kMaxLimit, number)) return false;
    out.limit = static_cast<std::size_t>(number);
  }
  bool reverse = false, keys = false, count = false;
  if (!fields_.read_flag(path, value, "reverse", reverse) ||
      !fields_.read_flag(path, value, "keys_only", keys) ||
      !fields_.read_flag(path, value, "count_only", count))
    return false;
  if (count)
    for (const std::string_view name : {"limit", "reverse", "keys_only", "separator"})
      if (value.find(name).exists())
        return fields_.fail(path.member(name), "conflicts with count_only");
  if (reverse) out.order = kv::Order::descending;
  if (keys) out.content = kv::Content::keys;
  if (count) out.content = kv::Content::count;
  const json::Value separator = value.find("separator");
  if (!separator.exists()) return true;
  const Path at = path.member("separator");
  if (separator.kind() != json::Kind::string) return fields_.fail_type(at, separator, "a string");
  out.separator = *separator.string();
  if (out.separator.empty() || out.separator.size() > kv::kMaxSeparator)
    return fields_.fail_limit(at, fmt::format("must be 1 to {} bytes", kv::kMaxSeparator),
                              kv::kMaxSeparator);
  out.prefix_size = covered.prefix_size;
  return true;
}

bool TransactionReader::read_delete(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(path, value,
                             {"key", "key_base64", "prefix", "prefix_base64", "start",
                              "start_base64", "end", "end_base64", "prev", "all"}))
    return false;
  Covered covered;
  bool prev = false, all = false;
  if (!read_covered(path, value, covered) || !fields_.read_flag(path, value, "prev", prev) ||
      !fields_.read_flag(path, value, "all", all))
    return false;
  const bool covers_all =
      covered.kind != Covered::Kind::key && covered.range == kv::KeyRange::all();
  if (covers_all && !all)
    return fields_.fail(path.member(covered.member),
                        covered.kind == Covered::Kind::nothing
                            ? "is missing, and so are prefix, start and end; to delete all keys, "
                              "add \"all\":true"
                            : "covers all keys; to delete them all, add \"all\":true");
  if (all && !covers_all)
    return fields_.fail(path.member("all"), fmt::format("conflicts with {}", covered.member));
  auto& remove = out.emplace<kv::Delete>();
  remove.range = std::move(covered.range);
  if (prev) remove.prev = kv::Prev::include;
  return true;
}

bool TransactionReader::read_increment(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(path, value, {"key", "key_base64", "by"})) return false;
  auto& modify = out.emplace<kv::Modify>();
  modify.kind = kv::Modify::Kind::increment;
  modify.operand = 1;
  if (!fields_.read_key(path, value, modify.key)) return false;
  const json::Value by = value.find("by");
  return !by.exists() || fields_.read_signed(path.member("by"), by, modify.operand);
}

bool TransactionReader::read_append(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(path, value, {"key", "key_base64", "value", "value_base64"}))
    return false;
  auto& modify = out.emplace<kv::Modify>();
  modify.kind = kv::Modify::Kind::append;
  return fields_.read_key(path, value, modify.key) &&
         fields_.read_value(path, value, modify.suffix);
}

bool TransactionReader::read_min(const Path& path, json::Value value, kv::Operation& out) {
  auto& modify = out.emplace<kv::Modify>();
  modify.kind = kv::Modify::Kind::min;
  return read_bound(path, value, modify);
}

bool TransactionReader::read_max(const Path& path, json::Value value, kv::Operation& out) {
  auto& modify = out.emplace<kv::Modify>();
  modify.kind = kv::Modify::Kind::max;
  return read_bound(path, value, modify);
}

// Of min and max. The value is a number, not bytes.
bool TransactionReader::read_bound(const Path& path, json::Value value, kv::Modify& out) {
  if (!fields_.check_members(path, value, {"key", "key_base64", "value"}) ||
      !fields_.read_key(path, value, out.key))
    return false;
  const json::Value bound = value.find("value");
  if (!bound.exists()) return fields_.fail_missing(path.member("value"));
  return fields_.read_signed(path.member("value"), bound, out.operand);
}

bool TransactionReader::read_restore(const Path& path, json::Value value, kv::Operation& out) {
  if (!fields_.check_members(path, value, {"key", "key_base64", "revision"})) return false;
  auto& restore = out.emplace<kv::Restore>();
  if (!fields_.read_key(path, value, restore.key)) return false;
  if (!value.find("revision").exists()) return fields_.fail_missing(path.member("revision"));
  return read_revision(path, value, restore.revision);
}

bool TransactionReader::read_nested(const Path& path, json::Value value, kv::Operation& out) {
  if (depth_ > kv::kMaxDepth)
    return fields_.fail_limit(
        path, fmt::format("is nested deeper than {} transactions", kv::kMaxDepth), kv::kMaxDepth);
  auto& nested = out.emplace<kv::Nested>();
  nested.transaction = std::make_unique<kv::Transaction>();
  return read(path, value, *nested.transaction);
}

}  // namespace

std::optional<Problem> read_transaction(std::string_view body, std::size_t max_value,
                                        kv::Transaction& out) {
  json::Document document;
  if (const auto wrong = document.parse(body)) return problem_of(*wrong);
  TransactionReader reader(max_value);
  if (reader.read({}, document.root(), out)) return std::nullopt;
  return std::move(reader.problem());
}

}  // namespace vesper::api
