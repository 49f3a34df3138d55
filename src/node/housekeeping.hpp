// What a leader proposes by itself to keep the store within its limits: compaction of the history,
// and the state of the quota. Both are commands in the log, so every node carries them out at the
// same entry.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "kv/store.hpp"

namespace vesper::node {

// The bounds of this node while it leads. The first one that the history reaches compacts it.
struct HistoryLimits {
  Duration keep_time = seconds(600);                   // of log time
  std::uint64_t keep_bytes = 256u << 20;               // Keyspace::history_cost()
  std::uint64_t keep_revisions = UINT64_MAX;           // at least 1
  std::uint64_t store_bytes = std::uint64_t{8} << 30;  // Store::cost(); 0: no quota
};

// `near`: less than a fifth of the quota is left. `exceeded`: writes that make the store grow are
// refused, which all nodes know from the log.
enum class QuotaState : std::uint8_t { fine, near, exceeded };
std::string_view to_string(QuotaState state);

class Housekeeping {
 public:
  explicit Housekeeping(HistoryLimits limits) : limits_(limits) {}

  const HistoryLimits& limits() const { return limits_; }

  // Whether next_command() and quota_alarm() have anything to look at. Called in every turn.
  bool is_due(const kv::Store& store, Instant now) const {
    return now >= look_at_ || store.keyspace().history_cost() > limits_.keep_bytes ||
           (limits_.store_bytes != 0 && store.cost() >= limits_.store_bytes);
  }
  // The command to propose now, if any. `log_time`: the cluster's clock. Looks at time and
  // revisions once a second, at bytes in every call.
  std::optional<std::string> next_command(const kv::Store& store, kv::LogTime log_time,
                                          Instant now);
  QuotaState quota(const kv::Store& store) const;
  // The log line for an operator when the state of the quota has changed since the last call.
  std::optional<std::string> quota_alarm(const kv::Store& store);
  // When to look at time and revisions next.
  Instant deadline() const { return std::max(look_at_, repeat_at_); }
  // This node does not lead: whatever it proposed may be lost.
  void forget() {
    repeat_at_ = {};
    proposed_quota_.reset();
  }

 private:
  std::string propose_quota(bool exceeded);
  std::optional<std::uint64_t> compaction_target(const kv::Store& store, kv::LogTime log_time,
                                                 bool all_bounds) const;

  const HistoryLimits limits_;
  Instant look_at_{};  // at time and revisions, next
  QuotaState reported_ = QuotaState::fine;
  // No repetition before this, because the last proposal may be under way.
  Instant repeat_at_{};
  std::optional<bool> proposed_quota_;  // what the last proposed SetQuota says
};

}  // namespace vesper::node
