#include "kv/transaction.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/overloaded.hpp"

namespace vesper::kv {
namespace {

using Kind = WriteResult::Kind;
using Path = std::vector<WriteResult::Step>;
using Branch = WriteResult::Step::Branch;

// Why a transaction as a whole is refused.
struct Failure {
  Kind kind = Kind::done;
  std::uint64_t limit = 0;  // as in WriteResult
  std::uint64_t count = 0;
};

// The fields of a key's next version. Null: the key does not exist.
VersionFields next_fields(const Version* present, std::uint64_t revision, std::uint32_t place) {
  VersionFields fields;
  fields.revision = revision;
  fields.create_revision = present == nullptr ? revision : present->create_revision();
  fields.version = present == nullptr ? 1 : present->version() + 1;
  fields.place = place;
  return fields;
}

// Gives a version the lease or the deadline that the put asks for.
void tie(const Put& put, LogTime now, VersionFields& fields) {
  fields.lease = put.lease;
  if (put.ttl.ns != 0) fields.deadline = later(now, put.ttl);
}
// Gives it those of the version before. Null: the key does not exist.
void tie_as(const Version* present, VersionFields& fields) {
  if (present == nullptr) return;
  fields.lease = present->lease();
  fields.deadline = present->deadline();
}

bool is_lease_active(const Put& put, const ExecutionContext& context) {
  return put.lease == 0 ||
         (context.leases != nullptr && context.leases->find_active(put.lease) != nullptr);
}

PutResult result_of(const Version& version) {
  return {version.revision(), version.create_revision(), version.version(), {}, {}};
}

// Which branch runs, for a transaction and the nested ones on its path. The entries of `nested`
// belong to the Nested operations of the branch, in order.
struct Plan {
  bool succeeded = true;
  std::vector<Plan> nested;
};

const std::vector<Operation>& branch_of(const Transaction& transaction, const Plan& plan) {
  return plan.succeeded ? transaction.then : transaction.otherwise;
}

std::string_view key_of(const Operation& operation) {
  return std::visit(Overloaded{
                        [](const Put& put) { return put.key.view(); },
                        [](const Modify& modify) { return modify.key.view(); },
                        [](const Restore& restore) { return restore.key.view(); },
                        [](const auto&) { return std::string_view(); },
                    },
                    operation);
}

// Executes operations against a keyspace without changing it: what they write is collected, and
// visible to later operations.
class Draft {
 public:
  Draft(const Keyspace& keyspace, const ExecutionContext& context)
      : keyspace_(keyspace), context_(context), revision_(keyspace.revision() + 1) {}

  const Failure& failure() const { return failure_; }
  // Where it failed, outermost step first.
  Path& path() { return path_; }
  std::vector<VersionRef>& written() { return written_; }

  // Decides all compares, those of nested transactions on the chosen path included.
  std::optional<Plan> plan(const Transaction& transaction) {
    Plan plan;
    for (std::size_t i = 0; i < transaction.compares.size() && plan.succeeded; ++i) {
      const auto held = holds_in_range(transaction.compares[i]);
      if (!held) return at({Branch::compare, static_cast<std::uint32_t>(i)});
      plan.succeeded = *held;
    }
    const auto& branch = branch_of(transaction, plan);
    for (std::size_t i = 0; i < branch.size(); ++i) {
      const auto* nested = std::get_if<Nested>(&branch[i]);
      if (nested == nullptr) continue;
      auto inner = this->plan(*nested->transaction);
      if (!inner) return at(step(plan, i));
      plan.nested.push_back(std::move(*inner));
    }
    return plan;
  }

  // A key may be written at most once on the chosen path, and not written and deleted.
  bool check_path(const Transaction& transaction, const Plan& plan) {
    std::vector<std::pair<std::string_view, std::string_view>> deleted;  // [start, end)
    collect_deletes(transaction, plan, deleted);
    std::sort(deleted.begin(), deleted.end());
    // Overlapping ranges are joined, so that the search below finds the only candidate.
    std::vector<std::pair<std::string_view, std::string_view>> joined;
    for (const auto& range : deleted) {
      if (!joined.empty() &&
          (joined.back().second.empty() || range.first <= joined.back().second)) {
        if (range.second.empty() ||
            (!joined.back().second.empty() && range.second > joined.back().second))
          joined.back().second = range.second;
      } else {
        joined.push_back(range);
      }
    }
    std::vector<std::string_view> keys;
    collect_writes(transaction, plan, keys);
    if (!std::is_sorted(keys.begin(), keys.end())) std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    std::optional<std::string_view> conflict;
    if (twice != keys.end()) conflict = *twice;
    for (const std::string_view key : keys) {
      if (conflict) break;
      auto after =
          std::upper_bound(joined.begin(), joined.end(), key,
                           [](std::string_view k, const auto& range) { return k < range.first; });
      if (after == joined.begin()) continue;
      const auto& range = *std::prev(after);
      if (range.second.empty() || key < range.second) conflict = key;
    }
    if (!conflict) return true;
    failure_ = {.kind = Kind::conflicting_operations};
    std::size_t times = 0;
    locate(transaction, plan, *conflict, twice != keys.end() ? 2 : 1, times);
    return false;
  }

  bool run(const Transaction& transaction, const Plan& plan, TransactionResult& result) {
    result.succeeded = plan.succeeded;
    if (!add_to_reply(reply_size(TransactionResult()))) return false;
    const auto& branch = branch_of(transaction, plan);
    result.results.reserve(branch.size());
    std::size_t nested = 0;
    for (std::size_t i = 0; i < branch.size(); ++i) {
      OperationResult one;
      bool done = false;
      if (const auto* inner = std::get_if<Nested>(&branch[i])) {
        TransactionResult inside;
        done = run(*inner->transaction, plan.nested[nested++], inside);
        one = std::move(inside);
      } else {
        done = run(branch[i], one);
      }
      if (!done) {
        at(step(plan, i));
        return false;
      }
      result.results.push_back(std::move(one));
    }
    return true;
  }

  // Any operation but Nested.
  bool run(const Operation& operation, OperationResult& result) {
    const bool done = std::visit(Overloaded{
                                     [&](const Put& put) { return run(put, result); },
                                     [&](const Get& get) { return run(get, result); },
                                     [&](const GetRange& get) { return run(get, result); },
                                     [&](const Delete& remove) { return run(remove, result); },
                                     [&](const Modify& modify) { return run(modify, result); },
                                     [&](const Restore& restore) { return run(restore, result); },
                                     [&](const Nested&) -> bool { VESPER_UNREACHABLE(); },
                                 },
                                 operation);
    return done && add_to_reply(reply_size(result));
  }

 private:
  static constexpr auto kVisits = RangeReader::Visits::kept_keys;
  // Bytes of a value that a compare of a range compares for one visit.
  static constexpr std::size_t kComparedAtOnce = 4096;

  bool fail(Failure failure) {
    failure_ = failure;
    return false;
  }
  // Adds a step to the path of the failure; the innermost is added first.
  std::nullopt_t at(WriteResult::Step step) {
    path_.insert(path_.begin(), step);
    return std::nullopt;
  }
  // reply_ is the reply_size() of the whole reply so far.
  bool add_to_reply(std::size_t size) {
    reply_ += size;
    return reply_ <= context_.max_reply ||
           fail({.kind = Kind::reply_too_large, .limit = context_.max_reply});
  }
  static WriteResult::Step step(const Plan& plan, std::size_t i) {
    return {plan.succeeded ? Branch::then : Branch::otherwise, static_cast<std::uint32_t>(i)};
  }

  const Version* find(std::string_view key) const {
    if (const auto mine = overlay_.find(key); mine != overlay_.end())
      return unless_tombstone(mine->second.get());
    return keyspace_.find(key, hint_);
  }

  void write(VersionRef version) {
    if (sees_writes_) overlay_[version->key()] = version;
    written_.push_back(std::move(version));
  }
  std::uint32_t next_place() const { return static_cast<std::uint32_t>(written_.size() + 1); }

  bool too_many(const KeyRange& range, std::size_t limit = kMaxVisited) {
    return fail({.kind = Kind::range_too_large, .limit = limit, .count = keyspace_.count(range)});
  }

  // Nothing: too many keys.
  std::optional<bool> holds_in_range(const Compare& compare) {
    if (compare.target == Compare::Target::lock)
      return context_.locks != nullptr &&
             context_.locks->is_held(compare.range.start, compare.number);
    if (compare.range.is_single_key()) return holds(compare, keyspace_.find(compare.range.start));
    RangeQuery query;
    query.range = compare.range;
    query.revision = keyspace_.revision();
    RangeReader reader(std::move(query), RangeReader::Count::omit, kVisits);
    if (!reader.run(keyspace_, nullptr, visits_, SIZE_MAX)) {
      too_many(compare.range);
      return std::nullopt;
    }
    const RangeResult keys = reader.take();
    if (keys.kvs.empty()) return holds(compare, nullptr);
    for (const VersionRef& version : keys.kvs) {
      if (!holds(compare, version.get())) return false;
      // A long value takes as long to compare as many short ones.
      const std::size_t more =
          std::min(version->value().size(), compare.value.size()) / kComparedAtOnce;
      if (more > visits_) {
        too_many(compare.range);
        return std::nullopt;
      }
      visits_ -= more;
    }
    return true;
  }

  static void collect_deletes(const Transaction& transaction, const Plan& plan,
                              std::vector<std::pair<std::string_view, std::string_view>>& out) {
    std::size_t nested = 0;
    for (const Operation& operation : branch_of(transaction, plan)) {
      if (const auto* inner = std::get_if<Nested>(&operation))
        collect_deletes(*inner->transaction, plan.nested[nested++], out);
      else if (const auto* remove = std::get_if<Delete>(&operation))
        if (!remove->range.is_empty()) out.emplace_back(remove->range.start, remove->range.end);
    }
  }

  // Also finds out whether an operation may see what others write.
  void collect_writes(const Transaction& transaction, const Plan& plan,
                      std::vector<std::string_view>& out) {
    std::size_t nested = 0;
    for (const Operation& operation : branch_of(transaction, plan)) {
      if (const auto* inner = std::get_if<Nested>(&operation))
        collect_writes(*inner->transaction, plan.nested[nested++], out);
      else if (const std::string_view key = key_of(operation); !key.empty()) out.push_back(key);
      else sees_writes_ = true;
    }
  }

  // Sets the path to the `nth` operation that writes `key`.
  bool locate(const Transaction& transaction, const Plan& plan, std::string_view key,
              std::size_t nth, std::size_t& seen) {
    std::size_t nested = 0;
    const auto& branch = branch_of(transaction, plan);
    for (std::size_t i = 0; i < branch.size(); ++i) {
      bool found = false;
      if (const auto* inner = std::get_if<Nested>(&branch[i]))
        found = locate(*inner->transaction, plan.nested[nested++], key, nth, seen);
      else found = key_of(branch[i]) == key && ++seen == nth;
      if (!found) continue;
      at(step(plan, i));
      return true;
    }
    return false;
  }

  // ---- operations

  bool may_grow() { return !context_.quota_exceeded || fail({.kind = Kind::quota_exceeded}); }

  VersionFields next_fields(const Version* present) const {
    return kv::next_fields(present, revision_, next_place());
  }
  // The same for an operation that leaves the key's lease as it is.
  VersionFields next_fields_with_lease(const Version* present) const {
    VersionFields fields = next_fields(present);
    tie_as(present, fields);
    return fields;
  }

  // Writes a version whose value the reply shows.
  PutResult write_and_show(const VersionRef& version) {
    PutResult done = result_of(*version);
    done.now = version;
    write(version);
    return done;
  }

  bool run(const Put& put, OperationResult& result) {
    if (!may_grow()) return false;
    if (!is_lease_active(put, context_)) return fail({.kind = Kind::lease_not_found});
    const Version* present = find(put.key.view());
    if (put.keep_value && present == nullptr) return fail({.kind = Kind::key_not_found});
    VersionFields fields = next_fields(present);
    fields.json = put.keep_value ? present->json() : put.json;
    if (put.keep_lease) tie_as(present, fields);
    else tie(put, context_.now, fields);
    VersionRef version = put.keep_value ? present->with_fields(fields)
                                        : Version::make(put.key.view(), put.value, fields);
    PutResult done = result_of(*version);
    if (put.prev == Prev::include && present != nullptr) done.prev = VersionRef(present);
    write(std::move(version));
    result = std::move(done);
    return true;
  }

  // Whether a past revision can be read.
  bool is_readable(std::uint64_t revision) {
    if (revision < keyspace_.oldest_revision())
      return fail({.kind = Kind::compacted, .limit = keyspace_.oldest_revision()});
    return revision <= keyspace_.revision() || fail({.kind = Kind::future_revision});
  }

  bool run(const Get& get, OperationResult& result) {
    if (get.revision != 0 && !is_readable(get.revision)) return false;
    const Version* found =
        get.revision == 0 ? find(get.key.view()) : keyspace_.find(get.key.view(), get.revision);
    result = GetResult{VersionRef(found)};
    return true;
  }

  bool run(const GetRange& get, OperationResult& result) {
    RangeQuery query = get.query;
    if (query.revision != 0 && !is_readable(query.revision)) return false;
    const bool past = query.revision != 0;
    if (!past) query.revision = keyspace_.revision();
    RangeReader reader(query, RangeReader::Count::whole_range, kVisits);
    const Overlay* overlay = past || overlay_.empty() ? nullptr : &overlay_;
    const std::size_t room = context_.max_reply - reply_;
    if (!reader.run(keyspace_, overlay, visits_, room)) {
      if (reader.bytes() < room) return too_many(query.range);
      return fail({.kind = Kind::reply_too_large, .limit = context_.max_reply});
    }
    result = reader.take();
    return true;
  }

  bool run(const Delete& remove, OperationResult& result) {
    DeleteResult done;
    if (remove.range.is_single_key()) {
      if (const Version* present = find(remove.range.start))
        this->remove(*present, remove.prev, done);
      result = std::move(done);
      return true;
    }
    if (!(overlay_.empty() ? remove_present(remove, done) : remove_visible(remove, done)))
      return too_many(remove.range, kMaxRangeDelete);
    result = std::move(done);
    return true;
  }

  // Deletes the keys of a range. False: too many.
  bool remove_present(const Delete& remove, DeleteResult& done) {
    std::uint64_t left = keyspace_.count(remove.range);
    if (left > visits_ / kVisitsPerDelete) return false;
    visits_ -= left * kVisitsPerDelete;
    const KeyTree& tree = keyspace_.tree();
    for (auto at = tree.first_live(remove.range); left > 0; --left) {
      this->remove(*at.slot().newest, remove.prev, done);
      tree.to_next_live(at);
    }
    return true;
  }
  // The same if this transaction has written keys of its own.
  bool remove_visible(const Delete& remove, DeleteResult& done) {
    RangeQuery query;
    query.range = remove.range;
    query.revision = keyspace_.revision();
    RangeReader reader(std::move(query), RangeReader::Count::omit, kVisits);
    const std::size_t most = visits_ / kVisitsPerDelete;
    std::size_t left = most;
    if (!reader.run(keyspace_, &overlay_, left, SIZE_MAX)) return false;
    visits_ -= (most - left) * kVisitsPerDelete;
    for (const VersionRef& present : reader.take().kvs) this->remove(*present, remove.prev, done);
    return true;
  }

  void remove(const Version& present, Prev prev, DeleteResult& done) {
    VersionFields fields;
    fields.revision = revision_;
    fields.place = next_place();
    fields.tombstone = true;
    ++done.deleted;
    if (prev == Prev::include) done.prev.emplace_back(&present);
    write(Version::make(present.key(), std::string_view(), fields));
  }

  bool run(const Modify& modify, OperationResult& result) {
    if (!may_grow()) return false;
    const Version* present = find(modify.key.view());
    VersionFields fields = next_fields_with_lease(present);
    VersionRef version;
    if (modify.kind == Modify::Kind::append) {
      const std::string_view old = present == nullptr ? std::string_view() : present->value();
      const std::size_t size = old.size() + modify.suffix.size();
      if (size > kMaxValue) return fail({.kind = Kind::value_too_large, .limit = kMaxValue});
      BytesBuilder value(size);
      value.add(old);
      value.add(modify.suffix.view());
      version = Version::make(modify.key.view(), value.finish(), fields);
    } else {
      std::int64_t number = 0;
      if (present != nullptr && !parse_integer(present->value(), number))
        return fail({.kind = Kind::not_an_integer});
      switch (modify.kind) {
        case Modify::Kind::increment:
          if (__builtin_add_overflow(number, modify.operand, &number))
            return fail({.kind = Kind::out_of_range});
          break;
        case Modify::Kind::min: number = std::min(number, modify.operand); break;
        case Modify::Kind::max: number = std::max(number, modify.operand); break;
        case Modify::Kind::append: VESPER_UNREACHABLE();
      }
      fields.json = present != nullptr && present->json();
      version = Version::make(modify.key.view(), fmt::format("{}", number), fields);
    }
    result = write_and_show(version);
    return true;
  }

  bool run(const Restore& restore, OperationResult& result) {
    if (!is_readable(restore.revision)) return false;
    const Version* past = keyspace_.find(restore.key.view(), restore.revision);
    const Version* present = find(restore.key.view());
    if (past == nullptr) {
      DeleteResult done;
      if (present != nullptr) remove(*present, Prev::omit, done);
      result = std::move(done);
      return true;
    }
    if (!may_grow()) return false;
    VersionFields fields = next_fields_with_lease(present);
    fields.json = past->json();
    result = write_and_show(past->with_fields(fields));
    return true;
  }

  const Keyspace& keyspace_;
  const ExecutionContext context_;
  const std::uint64_t revision_;  // of what is written
  std::vector<VersionRef> written_;
  // What was written, for operations that read keys or delete ranges. Without any of them, no
  // operation can meet a key that another one wrote.
  Overlay overlay_;
  bool sees_writes_ = false;
  std::size_t visits_ = kMaxVisited;  // left
  mutable KeyTree::Hint hint_;
  std::size_t reply_ = 0;
  Failure failure_;
  Path path_;
};

WriteResult refuse(const Keyspace& keyspace, Draft& draft) {
  const Failure& failure = draft.failure();
  WriteResult result;
  result.kind = failure.kind;
  result.revision = keyspace.revision();
  result.limit = failure.limit;
  result.count = failure.count;
  result.path = std::move(draft.path());
  return result;
}

WriteResult evaluate(const Keyspace& keyspace, Draft& draft, const Transaction& transaction) {
  TransactionResult done;
  const auto plan = draft.plan(transaction);
  if (!plan || !draft.check_path(transaction, *plan) || !draft.run(transaction, *plan, done))
    return refuse(keyspace, draft);
  WriteResult result;
  result.revision = keyspace.revision();
  result.result = std::move(done);
  return result;
}

void commit(Keyspace& keyspace, Draft& draft, WriteResult& result) {
  if (result.is_done() && !draft.written().empty()) keyspace.commit(std::move(draft.written()));
  result.revision = keyspace.revision();
}

bool needs_draft(const Put& put, const ExecutionContext& context) {
  return put.keep_value || put.keep_lease || put.prev == Prev::include || context.quota_exceeded ||
         !is_lease_active(put, context);
}

// For the most frequent write, a put without any extra. `present`: what `hint` leads to.
WriteResult put_directly(Keyspace& keyspace, const Put& put, const ExecutionContext& context,
                         const Version* present, KeyTree::Hint& hint) {
  VersionFields fields = next_fields(present, keyspace.revision() + 1, 1);
  fields.json = put.json;
  tie(put, context.now, fields);
  VersionRef version = Version::make(put.key.view(), put.value, fields);
  WriteResult result;
  result.revision = fields.revision;
  result.result = result_of(*version);
  keyspace.commit(std::move(version), hint);
  return result;
}

}  // namespace

WriteResult execute(Keyspace& keyspace, const Conditions& conditions, const Operation& operation,
                    const ExecutionContext& context) {
  const auto* put = std::get_if<Put>(&operation);
  const auto* remove = std::get_if<Delete>(&operation);
  const Version* present = nullptr;
  KeyTree::Hint hint;
  if (put != nullptr) {
    present = keyspace.find(put->key.view(), hint);
  } else if (!conditions.empty()) {
    present = keyspace.find(remove != nullptr ? remove->range.start : key_of(operation));
  }
  if (evaluate(conditions, present) != Verdict::holds) {
    WriteResult failed;
    failed.kind = Kind::precondition_failed;
    failed.revision = keyspace.revision();
    failed.current_revision = present == nullptr ? 0 : present->revision();
    return failed;
  }
  if (put != nullptr && !needs_draft(*put, context))
    return put_directly(keyspace, *put, context, present, hint);
  Draft draft(keyspace, context);
  OperationResult done;
  if (!draft.run(operation, done)) return refuse(keyspace, draft);
  WriteResult result;
  result.result = std::move(done);
  commit(keyspace, draft, result);
  return result;
}

WriteResult execute(Keyspace& keyspace, const Transaction& transaction,
                    const ExecutionContext& context) {
  Draft draft(keyspace, context);
  WriteResult result = evaluate(keyspace, draft, transaction);
  commit(keyspace, draft, result);
  return result;
}

WriteResult read(const Keyspace& keyspace, const Transaction& transaction,
                 const ExecutionContext& context) {
  VESPER_ASSERT(is_read_only(transaction));
  Draft draft(keyspace, context);
  return evaluate(keyspace, draft, transaction);
}

}  // namespace vesper::kv
