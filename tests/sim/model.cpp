#include "sim/model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "base/checksum.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kShown = 24;  // longer values are shown as a checksum
// What each result and each version in a reply counts for. A transaction's own result counts, too,
// also that of a nested one.
constexpr std::size_t kEach = 64;

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) {
    out += part;
    out += '|';
  }
  return out;
}

// The smallest string above all those that begin with `prefix`; empty if there is none.
std::string after_all(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

// A canonical decimal of 64 bits.
std::optional<std::int64_t> number_in(const std::string& text) {
  __extension__ using Wide = __int128;
  const bool negative = !text.empty() && text[0] == '-';
  const std::string digits = text.substr(negative ? 1 : 0);
  if (digits.empty() || digits.size() > 20) return std::nullopt;
  Wide value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (digits[0] == '0' && (digits.size() > 1 || negative)) return std::nullopt;
  if (negative) value = -value;
  if (value < std::numeric_limits<std::int64_t>::min() ||
      value > std::numeric_limits<std::int64_t>::max())
    return std::nullopt;
  return static_cast<std::int64_t>(value);
}

template <typename T>
bool holds(const T& here, Check::Op op, const T& wanted) {
  switch (op) {
    case Check::Op::equal: return here == wanted;
    case Check::Op::not_equal: return here != wanted;
    case Check::Op::less: return here < wanted;
    case Check::Op::greater: return here > wanted;
  }
  return false;
}

// A key that is absent has the number 0 everywhere, and no value that could be compared.
bool holds(const Check& check, const Seen& seen) {
  switch (check.target) {
    case Check::Target::revision: return holds(seen.revision, check.op, check.number);
    case Check::Target::create_revision: return holds(seen.create_revision, check.op, check.number);
    case Check::Target::version: return holds(seen.version, check.op, check.number);
    case Check::Target::lease: return holds(seen.lease, check.op, check.number);
    case Check::Target::exists: return holds(std::uint64_t{seen.present}, check.op, check.number);
    case Check::Target::value: return seen.present && holds(seen.value, check.op, check.value);
    case Check::Target::lock: break;  // Trial::choose
  }
  return false;
}

std::size_t size_of(std::string_view key, const Seen& seen) {
  return seen.present ? kEach + key.size() + seen.value.size() : 0;
}

}  // namespace

// ---- texts

std::string text_of(std::string_view key, const Seen& seen, bool with_value) {
  if (!seen.present) return "-";
  std::string value;
  if (with_value)
    value = seen.value.size() <= kShown
                ? seen.value
                : fmt::format("#{}:{:x}", seen.value.size(), checksum64(seen.value));
  const std::string end = seen.deadline != 0 ? fmt::format(";until {}", seen.deadline) : "";
  return fmt::format("{}={}{};{};{};{};{}{}", key, value, seen.json ? "j" : "", seen.revision,
                     seen.create_revision, seen.version, seen.lease, end);
}

std::string text_of_put(const Seen& written, const std::string& now, const std::string& prev) {
  return fmt::format("put({},{},{};{};{})", written.revision, written.create_revision,
                     written.version, now, prev);
}

std::string text_of_delete(std::uint64_t deleted, const std::vector<std::string>& prev) {
  return fmt::format("delete({};{})", deleted, joined(prev));
}

std::string text_of_get(const std::string& found) {
  return fmt::format("get({})", found);
}

std::string text_of_txn(bool succeeded, const std::vector<std::string>& results) {
  return fmt::format("txn({};{})", succeeded ? "then" : "else", joined(results));
}

std::string text_of_step(std::string_view branch, std::size_t at) {
  return fmt::format("{}[{}]", branch, at);
}

std::string text_of_lease(std::uint64_t lease, std::int64_t ttl, std::uint64_t deleted) {
  return fmt::format("lease({};{};{})", lease, ttl, deleted);
}

std::string text_of_lock(std::string_view state, std::uint64_t place, std::uint64_t token,
                         std::int64_t ttl) {
  return fmt::format("{}({};{};{})", state, place, token, ttl);
}

std::string RangeText::text() const {
  return fmt::format("range({};{};{};{};{})", joined(kvs), joined(prefixes), count,
                     more ? "more" : "all", resume);
}

// ---- reading

Seen Model::at(Space space, std::string_view key, std::uint64_t revision) const {
  const auto found = versions(space).find(key);
  if (found == versions(space).end()) return {};
  const auto after =
      std::upper_bound(found->second.begin(), found->second.end(), revision,
                       [](std::uint64_t r, const Version& version) { return r < version.at; });
  return after == found->second.begin() ? Seen{} : std::prev(after)->seen;
}

std::vector<std::uint64_t> Model::oldest_at(std::uint64_t revision) const {
  std::vector<std::uint64_t> values;
  for (auto floor = floors_.rbegin(); floor != floors_.rend(); ++floor) {
    if (floor->since > revision) continue;
    values.push_back(floor->oldest);
    if (floor->since < revision) break;
  }
  return values;
}

std::string Model::history(std::string_view key, std::size_t limit, const View& view) const {
  std::vector<std::string> texts;
  const auto found = versions().find(key);
  if (found != versions().end())
    for (auto v = found->second.rbegin(); v != found->second.rend(); ++v) {
      if (v->at > view.revision) continue;
      const bool event = v->at >= view.oldest;
      if (texts.size() == limit || (!event && !v->seen.present)) break;
      texts.push_back(v->seen.present ? text_of(key, v->seen, true)
                                      : fmt::format("deleted at {}", v->at));
      if (v->at <= view.oldest) break;
    }
  return fmt::format("history({};{})", joined(texts), view.oldest);
}

// ---- requests

// Carries out operations on a state, without changing it: they see what they have written.
class Trial {
 public:
  Trial(const Model& model, const Model::View& view, std::size_t most_reply)
      : model_(model), view_(view), most_reply_(most_reply) {}

  bool run(const Act& act);
  // Decides the compares of the chosen path, checks that path, runs it.
  bool run_whole(const Txn& txn);
  Model::Result take() { return std::move(result_); }
  RangeText range(const Act& query);

 private:
  using Kind = Outcome::Kind;
  struct Choice {
    bool succeeded = true;
    std::vector<Choice> nested;
  };

  const std::vector<Act>& branch(const Txn& txn, const Choice& choice) const {
    return choice.succeeded ? txn.then : txn.otherwise;
  }
  bool fail(Kind kind, std::string detail = {}) {
    result_.kind = kind;
    result_.text = std::move(detail);
    result_.writes.clear();
    return false;
  }
  Choice choose(const Txn& txn) const;
  void collect(const Txn& txn, const Choice& choice, std::vector<std::string>& written,
               std::vector<Span>& removed) const;
  bool run_path(const Txn& txn, const Choice& choice);

  Seen find(const std::string& key) const {
    const auto mine = mine_.find(key);
    return mine != mine_.end() ? mine->second : model_.at(key, view_.revision);
  }
  // All keys of the span that exist, at a revision, or at present with what was written here.
  std::map<std::string, Seen> all(const Span& span, std::uint64_t past) const;
  bool may_grow() { return !model_.over_quota_ || fail(Kind::quota); }
  bool is_readable(std::uint64_t revision) {
    if (revision < view_.oldest) return fail(Kind::compacted, fmt::format("{}", view_.oldest));
    return revision <= view_.revision || fail(Kind::future);
  }
  Seen next(const Seen& present, std::string value) const {
    Seen seen{true,
              std::move(value),
              false,
              view_.revision + 1,
              present.create_revision,
              present.version + 1,
              present.lease,
              present.deadline};
    if (!present.present) seen.create_revision = seen.revision;
    return seen;
  }
  void write(const std::string& key, Seen seen) {
    mine_[key] = seen;
    result_.writes.emplace_back(key, std::move(seen));
  }
  bool reply(std::string text, std::size_t size) {
    reply_ += kEach + size;
    if (reply_ > most_reply_) return fail(Kind::reply_too_large, fmt::format("{}", most_reply_));
    result_.text = std::move(text);
    return true;
  }
  bool put(const Act& act);
  bool modify(const Act& act);
  bool restore(const Act& act);
  bool remove(const Act& act);

  const Model& model_;
  const Model::View view_;
  const std::size_t most_reply_;
  std::size_t reply_ = 0;
  std::map<std::string, Seen> mine_;
  Model::Result result_;
};

std::map<std::string, Seen> Trial::all(const Span& span, std::uint64_t past) const {
  std::map<std::string, Seen> keys;
  const std::uint64_t revision = past != 0 ? past : view_.revision;
  for (auto at = model_.versions().lower_bound(span.start);
       at != model_.versions().end() && span.contains(at->first); ++at)
    if (Seen seen = model_.at(at->first, revision); seen.present)
      keys.emplace_hint(keys.end(), at->first, std::move(seen));
  if (past != 0) return keys;
  for (const auto& [key, seen] : mine_) {
    if (!span.contains(key)) continue;
    if (seen.present) keys[key] = seen;
    else keys.erase(key);
  }
  return keys;
}

RangeText Trial::range(const Act& query) {
  const auto keys = all(query.span, query.revision);
  RangeText reply;
  reply.count = keys.size();
  if (query.content == Act::Content::count) return reply;
  std::size_t size = 0;
  std::string folded;
  std::string last;  // the last key or prefix that was taken
  bool last_is_prefix = false;
  const auto take = [&](const std::string& key, const Seen& seen) {
    if (!folded.empty() && key.starts_with(folded)) return true;
    if (query.limit != 0 && reply.kvs.size() + reply.prefixes.size() == query.limit) {
      reply.more = true;
      return false;
    }
    const std::size_t separator =
        query.separator.empty() ? std::string::npos : key.find(query.separator, query.prefix_size);
    last_is_prefix = separator != std::string::npos;
    if (last_is_prefix) {
      folded = key.substr(0, separator + query.separator.size());
      reply.prefixes.push_back(folded);
      size += kEach + folded.size();
      last = folded;
    } else {
      const bool values = query.content == Act::Content::values;
      reply.kvs.push_back(text_of(key, seen, values));
      size += kEach + key.size() + (values ? seen.value.size() : 0);
      last = key;
    }
    return true;
  };
  if (query.descending) {
    for (auto at = keys.rbegin(); at != keys.rend(); ++at)
      if (!take(at->first, at->second)) break;
  } else {
    for (const auto& [key, seen] : keys)
      if (!take(key, seen)) break;
  }
  if (reply.more) {
    if (query.descending) reply.resume = last;
    else reply.resume = last_is_prefix ? after_all(last) : last + '\0';
  }
  reply_ += size + reply.resume.size();
  return reply;
}

bool Trial::put(const Act& act) {
  if (!may_grow()) return false;
  if (act.lease != 0 && !model_.holdings_.is_active(act.lease)) return fail(Kind::no_lease);
  const Seen present = find(act.key);
  if (act.keep_value && !present.present) return fail(Kind::not_found);
  Seen seen = next(present, act.keep_value ? present.value : act.value);
  seen.json = act.keep_value ? present.json : act.json;
  if (!act.keep_lease || !present.present) {
    seen.lease = act.lease;
    seen.deadline = act.ttl == 0 ? 0 : end_after(model_.stamp_.time, act.ttl);
  }
  const bool prev = act.prev && present.present;
  const std::string text = text_of_put(seen, "-", prev ? text_of(act.key, present, true) : "-");
  write(act.key, std::move(seen));
  return reply(text, prev ? size_of(act.key, present) : 0);
}

bool Trial::modify(const Act& act) {
  if (!may_grow()) return false;
  const Seen present = find(act.key);
  Seen seen;
  if (act.kind == Act::Kind::append) {
    seen = next(present, present.value + act.value);
  } else {
    const auto number = present.present ? number_in(present.value) : std::int64_t{0};
    if (!number) return fail(Kind::not_an_integer);
    __extension__ using Wide = __int128;
    Wide sum = *number;
    if (act.kind == Act::Kind::increment) sum += act.operand;
    else if (act.kind == Act::Kind::min) sum = std::min(*number, act.operand);
    else sum = std::max(*number, act.operand);
    if (sum < std::numeric_limits<std::int64_t>::min() ||
        sum > std::numeric_limits<std::int64_t>::max())
      return fail(Kind::out_of_range);
    seen = next(present, std::to_string(static_cast<std::int64_t>(sum)));
    seen.json = present.json;
  }
  const std::string text = text_of_put(seen, text_of(act.key, seen, true), "-");
  const std::size_t size = size_of(act.key, seen);
  write(act.key, std::move(seen));
  return reply(text, size);
}

bool Trial::restore(const Act& act) {
  if (!is_readable(act.revision)) return false;
  const Seen past = model_.at(act.key, act.revision);
  const Seen present = find(act.key);
  if (!past.present) {
    if (present.present) write(act.key, {});
    return reply(text_of_delete(present.present ? 1 : 0, {}), 0);
  }
  if (!may_grow()) return false;
  Seen seen = next(present, past.value);
  seen.json = past.json;
  const std::string text = text_of_put(seen, text_of(act.key, seen, true), "-");
  const std::size_t size = size_of(act.key, seen);
  write(act.key, std::move(seen));
  return reply(text, size);
}

bool Trial::remove(const Act& act) {
  std::vector<std::string> prev;
  std::size_t size = 0, deleted = 0;
  for (const auto& [key, seen] : all(act.span, 0)) {
    ++deleted;
    if (act.prev) {
      prev.push_back(text_of(key, seen, true));
      size += size_of(key, seen);
    }
    write(key, {});
  }
  return reply(text_of_delete(deleted, prev), size);
}

bool Trial::run(const Act& act) {
  switch (act.kind) {
    case Act::Kind::put: return put(act);
    case Act::Kind::get: {
      if (act.revision != 0 && !is_readable(act.revision)) return false;
      const Seen seen = act.revision != 0 ? model_.at(act.key, act.revision) : find(act.key);
      return reply(text_of_get(text_of(act.key, seen, true)), size_of(act.key, seen));
    }
    case Act::Kind::range: {
      if (act.revision != 0 && !is_readable(act.revision)) return false;
      return reply(range(act).text(), 0);
    }
    case Act::Kind::remove: return remove(act);
    case Act::Kind::increment:
    case Act::Kind::append:
    case Act::Kind::min:
    case Act::Kind::max: return modify(act);
    case Act::Kind::restore: return restore(act);
    case Act::Kind::nested: break;
  }
  return false;
}

Trial::Choice Trial::choose(const Txn& txn) const {
  Choice choice;
  for (const Check& check : txn.checks) {
    if (check.target == Check::Target::lock) {
      choice.succeeded &= model_.was_held(check.span.start, check.number, view_.revision);
      continue;
    }
    const auto keys = all(check.span, 0);
    if (keys.empty()) choice.succeeded &= holds(check, Seen{});
    for (const auto& [key, seen] : keys) choice.succeeded &= holds(check, seen);
  }
  for (const Act& act : branch(txn, choice))
    if (act.kind == Act::Kind::nested) choice.nested.push_back(choose(*act.txn));
  return choice;
}

void Trial::collect(const Txn& txn, const Choice& choice, std::vector<std::string>& written,
                    std::vector<Span>& removed) const {
  std::size_t nested = 0;
  for (const Act& act : branch(txn, choice)) {
    switch (act.kind) {
      case Act::Kind::get:
      case Act::Kind::range: break;
      case Act::Kind::remove: removed.push_back(act.span); break;
      case Act::Kind::nested: collect(*act.txn, choice.nested[nested++], written, removed); break;
      case Act::Kind::put:
      case Act::Kind::increment:
      case Act::Kind::append:
      case Act::Kind::min:
      case Act::Kind::max:
      case Act::Kind::restore: written.push_back(act.key); break;
    }
  }
}

bool Trial::run_path(const Txn& txn, const Choice& choice) {
  if (!reply({}, 0)) return false;  // its own result; the results in it follow
  std::vector<std::string> results;
  std::size_t nested = 0;
  const std::vector<Act>& acts = branch(txn, choice);
  for (std::size_t i = 0; i < acts.size(); ++i) {
    const bool done = acts[i].kind == Act::Kind::nested
                          ? run_path(*acts[i].txn, choice.nested[nested++])
                          : run(acts[i]);
    if (!done) {
      result_.text = text_of_step(choice.succeeded ? "then" : "else", i) + result_.text;
      return false;
    }
    results.push_back(std::move(result_.text));
  }
  result_.text = text_of_txn(choice.succeeded, results);
  return true;
}

bool Trial::run_whole(const Txn& txn) {
  const Choice choice = choose(txn);
  std::vector<std::string> written;
  std::vector<Span> removed;
  collect(txn, choice, written, removed);
  std::sort(written.begin(), written.end());
  bool conflict = std::adjacent_find(written.begin(), written.end()) != written.end();
  for (const std::string& key : written)
    for (const Span& span : removed) conflict |= span.contains(key);
  if (conflict) return fail(Kind::conflict);
  return run_path(txn, choice);
}

RangeText Model::range(const Act& query, std::uint64_t revision) const {
  Act at = query;
  at.revision = revision;
  return Trial(*this, {revision_, oldest_}, kMostReply).range(at);
}

Model::Result Model::evaluate(const Act& act, const View& view, std::size_t most_reply) const {
  Trial trial(*this, view, most_reply);
  trial.run(act);
  return trial.take();
}

Model::Result Model::evaluate(const Txn& txn, const View& view, std::size_t most_reply) const {
  Trial trial(*this, view, most_reply);
  trial.run_whole(txn);
  return trial.take();
}

// ---- changes

// Compaction past an event drops the version that it replaced, and itself if it is a delete.
std::uint64_t Model::dropped_by(const Event& event) const {
  const Seen replaced = before(event);
  std::uint64_t cost = replaced.present ? cost_of(event.key, replaced) : 0;
  if (!at(event.space, event.key, event.revision).present) cost += cost_of(event.key, {});
  return cost;
}

void Model::commit(const Writes& writes, Space space, Cause cause) {
  if (writes.empty()) return;
  ++revision_;
  std::uint32_t place = 0;
  for (const auto& [key, seen] : writes) {
    std::vector<Version>& versions = versions_[static_cast<std::size_t>(space)][key];
    const bool existed = !versions.empty() && versions.back().seen.present;
    if (existed) live_cost_ -= cost_of(key, versions.back().seen);
    if (seen.present) live_cost_ += cost_of(key, seen);
    if (space == Space::keys) present_ += seen.present;
    if (space == Space::keys) present_ -= existed;
    versions.push_back({revision_, seen, cause == Cause::deadline});
    events_.push_back({revision_, ++place, key, space, cause == Cause::deadline});
    history_cost_ += dropped_by(events_.back());
  }
}

void Model::compact(std::uint64_t revision) {
  if (revision == oldest_) return;
  oldest_ = revision;
  floors_.push_back({oldest_, revision_});
  for (; first_event_ < events_.size() && events_[first_event_].revision < oldest_; ++first_event_)
    history_cost_ -= dropped_by(events_[first_event_]);
}

}  // namespace vesper::sim
