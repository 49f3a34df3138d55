#include "node/housekeeping.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "kv/command.hpp"

namespace vesper::node {
namespace {

constexpr Duration kLookEvery = seconds(1);
// How long a proposal may take until it is repeated. A needless repetition does no harm.
constexpr Duration kRepeatAfter = seconds(2);
// The quota is lifted once the store has shrunk below this part of it, so that it does not flap.
constexpr std::uint64_t kLiftAt = 95;  // percent
constexpr std::uint64_t kNearAt = 80;  // percent

}  // namespace

std::optional<std::string> Housekeeping::next_command(const kv::Store& store, kv::LogTime log_time,
                                                      Instant now) {
  const bool exceeded =
      limits_.store_bytes != 0 &&
      store.cost() >=
          (store.quota_exceeded() ? limits_.store_bytes / 100 * kLiftAt : limits_.store_bytes);
  const bool too_much = store.keyspace().history_cost() > limits_.keep_bytes;
  const bool looks = now >= look_at_;
  const bool changes = exceeded != store.quota_exceeded();
  if (!too_much && !looks && !changes) return std::nullopt;
  // A change of the quota's state waits for no other command: writes are accepted without a bound
  // until the store knows that the quota is reached.
  if (now < repeat_at_ && (!changes || proposed_quota_ == exceeded)) return std::nullopt;
  if (looks) look_at_ = now + kLookEvery;
  std::optional<std::string> command;
  if (changes) command = propose_quota(exceeded);
  else if (const auto to = compaction_target(store, log_time, looks))
    command = kv::encode(kv::Compact{*to, kv::Compact::By::server});
  else if (exceeded && looks && store.is_stuck_at_quota()) command = propose_quota(true);
  if (command) repeat_at_ = now + kRepeatAfter;
  return command;
}

std::string Housekeeping::propose_quota(bool exceeded) {
  proposed_quota_ = exceeded;
  return kv::encode(kv::SetQuota{exceeded});
}

std::string_view to_string(QuotaState state) {
  switch (state) {
    case QuotaState::fine: return "fine";
    case QuotaState::near: return "near";
    case QuotaState::exceeded: return "exceeded";
  }
  VESPER_UNREACHABLE();
}

QuotaState Housekeeping::quota(const kv::Store& store) const {
  if (store.quota_exceeded()) return QuotaState::exceeded;
  const bool near = limits_.store_bytes != 0 && store.cost() / kNearAt >= limits_.store_bytes / 100;
  return near ? QuotaState::near : QuotaState::fine;
}

std::optional<std::string> Housekeeping::quota_alarm(const kv::Store& store) {
  const QuotaState state = quota(store);
  if (state == reported_) return std::nullopt;
  const QuotaState before = std::exchange(reported_, state);
  const std::string figures =
      fmt::format("the store has {} of {} bytes", store.cost(), limits_.store_bytes);
  switch (state) {
    case QuotaState::fine: return figures + " -> the quota no longer limits writes";
    case QuotaState::near:
      return before == QuotaState::exceeded
                 ? figures + " -> accept writes again"
                 : figures +
                       " -> at the quota, writes that make it grow will be refused; delete "
                       "keys, keep less history, or raise --store-bytes";
    case QuotaState::exceeded:
      return figures +
             " -> refuse writes that make it grow; delete keys, keep less history, or "
             "raise --store-bytes";
  }
  VESPER_UNREACHABLE();
}

std::optional<std::uint64_t> Housekeeping::compaction_target(const kv::Store& store,
                                                             kv::LogTime log_time,
                                                             bool all_bounds) const {
  const kv::Keyspace& keyspace = store.keyspace();
  std::uint64_t target = 0;
  // Goes a little further than it must, so that a store at its bound is not compacted again at
  // once.
  if (keyspace.history_cost() > limits_.keep_bytes)
    target = keyspace.revision_for_history(limits_.keep_bytes / 8 * 7);
  if (all_bounds) {
    if (keyspace.revision() > limits_.keep_revisions)
      target = std::max(target, keyspace.revision() - limits_.keep_revisions + 1);
    const kv::LogTime cutoff(log_time.value - limits_.keep_time.ns);
    if (const auto reached = store.times().revision_at(cutoff)) target = std::max(target, *reached);
  }
  if (target <= keyspace.oldest_revision()) return std::nullopt;
  return target;
}

}  // namespace vesper::node
