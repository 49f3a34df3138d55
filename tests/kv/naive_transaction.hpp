// What a transaction must do, as plainly as can be: it is executed on the plain model, and its
// result is a line of text.
#pragma once

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "kv/model.hpp"
#include "kv/transaction.hpp"

namespace vesper::test {

using namespace kv;
using Kind = WriteResult::Kind;

inline SharedBytes bytes_of(std::string_view text) {
  return SharedBytes::copy_of(text);
}

// ---- results as text

inline std::string show(const Version* version) {
  if (version == nullptr) return "-";
  return show(version->key(), version->value(), version->revision()) + "c" +
         std::to_string(version->create_revision()) + "v" + std::to_string(version->version()) +
         "l" + std::to_string(version->lease()) + (version->json() ? "j" : "");
}
inline std::string show(const ModelVersion* version) {
  return version == nullptr ? "-" : show(version->make().get());
}

inline std::string show(const OperationResult& result) {
  if (const auto* put = std::get_if<PutResult>(&result))
    return "put " + std::to_string(put->revision) + " " + std::to_string(put->create_revision) +
           " " + std::to_string(put->version) + " now " + show(put->now.get()) + " prev " +
           show(put->prev.get());
  if (const auto* remove = std::get_if<DeleteResult>(&result)) {
    std::string text = "delete " + std::to_string(remove->deleted);
    for (const VersionRef& version : remove->prev) text += " " + show(version.get());
    return text;
  }
  if (const auto* get = std::get_if<GetResult>(&result)) return "get " + show(get->found.get());
  if (const auto* range = std::get_if<RangeResult>(&result)) {
    std::string text = "range " + std::to_string(range->count) + (range->more ? " more" : "");
    for (const VersionRef& version : range->kvs)
      text += " " + show(version->key(), range->content == Content::values ? version->value() : "",
                         version->revision());
    for (const std::string& prefix : range->prefixes) text += " " + prefix + "|";
    return text;
  }
  if (const auto* transaction = std::get_if<TransactionResult>(&result)) {
    std::string text = transaction->succeeded ? "then {" : "else {";
    for (const OperationResult& one : transaction->results) text += show(one) + "; ";
    return text + "}";
  }
  return "compact";
}

inline std::string show_path(const std::vector<WriteResult::Step>& path) {
  std::string text;
  for (const auto& step : path) {
    static constexpr const char* kNames[] = {"then", "else", "if"};
    text += std::string(kNames[static_cast<std::size_t>(step.branch)]) + "[" +
            std::to_string(step.at) + "]";
  }
  return text;
}

inline std::string show(const WriteResult& result) {
  if (result.is_done()) return "done " + show(result.result);
  return "refused " + std::to_string(static_cast<int>(result.kind)) + " " + show_path(result.path);
}

// ---- the naive model

__extension__ using Wide = __int128;

struct Refused {
  Kind kind;
};

// Executes a transaction on a model as the documentation of operation.hpp says it.
class Naive {
 public:
  Naive(Model& model, const ExecutionContext& context) : model_(model), context_(context) {}

  std::string execute(const Transaction& transaction) {
    const Model before = model_;
    try {
      decide(transaction);
      check(transaction);
      decided_ = 0;
      const std::string text = run(transaction);
      model_.commit();
      return "done " + text;
    } catch (const Refused& refused) {
      model_ = before;
      return "refused " + std::to_string(static_cast<int>(refused.kind)) + " " + path_;
    }
  }

 private:
  bool holds(const Compare& compare, const ModelVersion* version) {
    const auto with = [&](const auto& left, const auto& right) {
      switch (compare.op) {
        case Compare::Op::equal: return left == right;
        case Compare::Op::not_equal: return left != right;
        case Compare::Op::less: return left < right;
        case Compare::Op::greater: return left > right;
      }
      return false;
    };
    const VersionFields none;
    const VersionFields& fields = version ? version->fields : none;
    switch (compare.target) {
      case Compare::Target::revision: return with(fields.revision, compare.number);
      case Compare::Target::create_revision: return with(fields.create_revision, compare.number);
      case Compare::Target::version: return with(fields.version, compare.number);
      case Compare::Target::lease: return with(fields.lease, compare.number);
      case Compare::Target::exists: return with(std::uint64_t{version != nullptr}, compare.number);
      case Compare::Target::value:
        return version != nullptr && with(version->value, std::string(compare.value.view()));
      case Compare::Target::lock: break;  // the cases that use this model have no locks
    }
    return false;
  }
  // In the order in which the transactions are met.
  void decide(const Transaction& transaction) {
    bool succeeded = true;
    for (const Compare& compare : transaction.compares) {
      const auto versions = model_.range(compare.range, UINT64_MAX);
      if (versions.empty()) succeeded = succeeded && holds(compare, nullptr);
      for (const ModelVersion* version : versions) succeeded = succeeded && holds(compare, version);
    }
    decisions_.push_back(succeeded);
    for (const Operation& operation : succeeded ? transaction.then : transaction.otherwise)
      if (const auto* nested = std::get_if<Nested>(&operation)) decide(*nested->transaction);
  }

  struct Use {
    std::string path, key;  // a write
    const Delete* remove = nullptr;
  };
  void collect(const Transaction& transaction, const std::string& path, std::vector<Use>& uses) {
    const bool succeeded = decisions_[decided_++];
    const auto& branch = succeeded ? transaction.then : transaction.otherwise;
    for (std::size_t i = 0; i < branch.size(); ++i) {
      const std::string at = path + (succeeded ? "then[" : "else[") + std::to_string(i) + "]";
      if (const auto* nested = std::get_if<Nested>(&branch[i]))
        collect(*nested->transaction, at, uses);
      if (const auto* put = std::get_if<Put>(&branch[i]))
        uses.push_back({at, std::string(put->key.view())});
      if (const auto* modify = std::get_if<Modify>(&branch[i]))
        uses.push_back({at, std::string(modify->key.view())});
      if (const auto* restore = std::get_if<Restore>(&branch[i]))
        uses.push_back({at, std::string(restore->key.view())});
      if (const auto* remove = std::get_if<Delete>(&branch[i])) uses.push_back({at, {}, remove});
    }
  }
  // Every key that is written twice, or written and deleted, is a conflict. Any one may be named.
  void check(const Transaction& transaction) {
    std::vector<Use> uses;
    collect(transaction, "", uses);
    std::set<std::string> written;
    for (const Use& use : uses) {
      if (use.remove != nullptr) continue;
      bool conflict = !written.insert(use.key).second;
      for (const Use& other : uses)
        conflict = conflict || (other.remove != nullptr && other.remove->range.contains(use.key));
      if (!conflict) continue;
      path_ = "*";
      throw Refused{Kind::conflicting_operations};
    }
  }

  std::string run(const Transaction& transaction) {
    const bool succeeded = decisions_[decided_++];
    const auto& branch = succeeded ? transaction.then : transaction.otherwise;
    std::string text = succeeded ? "then {" : "else {";
    reply(64);
    const std::string outer = path_;
    for (std::size_t i = 0; i < branch.size(); ++i) {
      path_ = outer + (succeeded ? "then[" : "else[") + std::to_string(i) + "]";
      if (const auto* nested = std::get_if<Nested>(&branch[i]))
        text += run(*nested->transaction) + "; ";
      else
        text += std::visit([&](const auto& operation) { return one(operation); }, branch[i]) + "; ";
    }
    path_ = outer;
    return text + "}";
  }

  void reply(std::size_t size) {
    reply_ += size;
    if (reply_ > context_.max_reply) throw Refused{Kind::reply_too_large};
  }
  static std::size_t size_of(const ModelVersion* version) {
    return version == nullptr ? 0 : 64 + version->key.size() + version->value.size();
  }
  void may_grow() const {
    if (context_.quota_exceeded) throw Refused{Kind::quota_exceeded};
  }
  void readable(std::uint64_t revision) const {
    if (revision == 0) return;
    if (revision < model_.oldest) throw Refused{Kind::compacted};
    if (revision > model_.revision) throw Refused{Kind::future_revision};
  }

  std::string wrote(const std::string& key, const std::optional<ModelVersion>& prev, bool now) {
    const ModelVersion* written = model_.find(key);
    reply(64 + (now ? size_of(written) : 0) + (prev ? size_of(&*prev) : 0));
    return "put " + std::to_string(written->fields.revision) + " " +
           std::to_string(written->fields.create_revision) + " " +
           std::to_string(written->fields.version) + " now " + (now ? show(written) : "-") +
           " prev " + (prev ? show(&*prev) : "-");
  }
  std::string one(const Put& put) {
    may_grow();
    const std::string key(put.key.view());
    const ModelVersion* found = model_.find(key);
    if (put.keep_value && found == nullptr) throw Refused{Kind::key_not_found};
    const std::optional<ModelVersion> present =
        found == nullptr ? std::nullopt : std::optional(*found);
    model_.write(key, put.keep_value ? present->value : std::string(put.value.view()),
                 put.keep_value ? present->fields.json : put.json,
                 put.keep_lease && present ? present->fields.lease : put.lease);
    return wrote(key, put.prev == Prev::include ? present : std::nullopt, false);
  }
  std::string one(const Get& get) {
    readable(get.revision);
    const std::string key(get.key.view());
    const ModelVersion* found =
        get.revision == 0 ? model_.find(key) : model_.find(key, get.revision);
    reply(64 + size_of(found));
    return "get " + show(found);
  }
  std::string one(const GetRange& get) {
    const RangeQuery& query = get.query;
    readable(query.revision);
    const auto versions =
        model_.range(query.range, query.revision == 0 ? UINT64_MAX : query.revision);
    const auto items = sequence_of(query, versions);
    const std::size_t limit = query.limit == 0 ? items.size() : query.limit;
    std::string text = "range " + std::to_string(versions.size());
    if (items.size() > limit) text += " more";
    std::size_t size = 64;
    std::string keys, prefixes, resume;
    for (std::size_t i = 0; i < items.size() && i < limit; ++i) {
      const auto& [is_prefix, item] = items[i];
      const std::size_t name = is_prefix ? item.size() : item.find('=');
      resume = item.substr(0, name);
      if (is_prefix) {
        prefixes += " " + item + "|";
        size += 64 + name;
        if (query.order == Order::ascending) resume = KeyRange::end_of_prefix(item);
      } else {
        const std::size_t value = item.rfind('@') - name - 1;
        const bool values = query.content == Content::values;
        keys += " " + item.substr(0, name + 1) + item.substr(values ? name + 1 : name + 1 + value);
        size += 64 + name + (values ? value : 0);
        if (query.order == Order::ascending) resume.push_back('\0');
      }
    }
    reply(size + (items.size() > limit ? resume.size() : 0));
    return text + keys + prefixes;
  }
  std::string one(const Delete& remove) {
    std::vector<ModelVersion> gone;
    for (const ModelVersion* version : model_.range(remove.range, UINT64_MAX))
      gone.push_back(*version);
    std::string text = "delete " + std::to_string(gone.size());
    std::size_t size = 64;
    for (const ModelVersion& version : gone) {
      if (remove.prev == Prev::include) text += " " + show(&version);
      if (remove.prev == Prev::include) size += size_of(&version);
      model_.remove(version.key);
    }
    reply(size);
    return text;
  }
  static std::optional<Wide> number_in(const std::string& text) {
    const std::string digits = text.starts_with('-') ? text.substr(1) : text;
    if (digits.empty() || digits.size() > 19 || text == "-0") return std::nullopt;
    if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
    Wide number = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return std::nullopt;
      number = number * 10 + (c - '0');
    }
    if (text[0] == '-') number = -number;
    if (number < INT64_MIN || number > INT64_MAX) return std::nullopt;
    return number;
  }
  std::string one(const Modify& modify) {
    may_grow();
    const std::string key(modify.key.view());
    const ModelVersion* present = model_.find(key);
    const std::uint64_t lease = present ? present->fields.lease : 0;
    if (modify.kind == Modify::Kind::append) {
      model_.write(key, (present ? present->value : "") + std::string(modify.suffix.view()), false,
                   lease);
      return wrote(key, std::nullopt, true);
    }
    const auto old = present ? number_in(present->value) : std::optional<Wide>(0);
    if (!old) throw Refused{Kind::not_an_integer};
    Wide now = *old;
    if (modify.kind == Modify::Kind::increment) now += modify.operand;
    if (modify.kind == Modify::Kind::min) now = std::min<Wide>(now, modify.operand);
    if (modify.kind == Modify::Kind::max) now = std::max<Wide>(now, modify.operand);
    if (now < INT64_MIN || now > INT64_MAX) throw Refused{Kind::out_of_range};
    model_.write(key, std::to_string(static_cast<std::int64_t>(now)),
                 present != nullptr && present->fields.json, lease);
    return wrote(key, std::nullopt, true);
  }
  std::string one(const Restore& restore) {
    readable(restore.revision);
    const std::string key(restore.key.view());
    const ModelVersion* past = model_.find(key, restore.revision);
    if (past == nullptr) {
      const bool removed = model_.remove(key);
      reply(64);
      return "delete " + std::to_string(removed);
    }
    may_grow();
    const ModelVersion* present = model_.find(key);
    const std::string value = past->value;
    const bool json = past->fields.json;
    model_.write(key, value, json, present ? present->fields.lease : 0);
    return wrote(key, std::nullopt, true);
  }
  std::string one(const Nested&) { return ""; }

  Model& model_;
  const ExecutionContext context_;
  std::vector<bool> decisions_;  // in the order in which the transactions are met
  std::size_t decided_ = 0;
  std::size_t reply_ = 0;
  std::string path_;
};

}  // namespace vesper::test
