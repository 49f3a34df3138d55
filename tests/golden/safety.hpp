// Checks a cluster of cores from the outside after every turn: the safety properties of figure 3,
// and that disks hold what messages promise. It shares no code with what it checks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "raft/raft.hpp"

namespace vesper::golden {

// The durable content of a disk.
struct Disk {
  raft::HardState hard_state;
  raft::Index commit_index;
  std::vector<raft::Entry> entries;  // after base.index
  raft::WriteNumber last_write;
  raft::LogBase base;
  std::vector<raft::Snapshot> snapshots;  // the newest last

  void carry_out(raft::Write write);
  raft::Index last_index() const { return raft::Index(base.index.value + entries.size()); }
  // The term of the entry there, or of the snapshot that ends there; nothing if there is neither.
  std::optional<raft::Term> term_at(raft::Index index) const;
  // Everything up to this index survives a crash, as entries or in a snapshot.
  raft::Index durable_index() const;
};

// One server under check.
struct Subject {
  raft::ServerId id;
  raft::Incarnation incarnation;
  const raft::Raft* raft = nullptr;  // null while it is down
  const Disk* disk = nullptr;
};

class Safety {
 public:
  // Entries that count as committed before the run begins.
  void assume_committed(const std::vector<raft::Entry>& entries);
  // A message leaves: does the sender's disk hold what it promises? (E2, E4, L10)
  void sent(const Subject& from, raft::ServerId to, const raft::Message& message);
  // A turn of subjects[at] has ended.
  void turned(const std::vector<Subject>& subjects, std::size_t at, Instant now);
  // The server's process has ended, and its memory is lost.
  void forget(raft::ServerId id) { seen_.erase(id); }

  const std::string& violation() const { return violation_; }
  raft::Index committed() const { return raft::Index(committed_.size()); }
  std::size_t leaders() const { return leaders_.size(); }

 private:
  struct Fact {
    raft::Term term;
    std::string bytes;
  };
  struct Seen {
    raft::Term term;
    raft::Index commit_index;
    raft::Index last_index;  // if it led
  };

  void fail(std::string what);
  void check_leader(const Subject& subject);
  void check_lease(const std::vector<Subject>& subjects, const Subject& subject, Instant now);
  void check_commits(const std::vector<Subject>& subjects, const Subject& subject);
  template <typename IsDurable>
  void check_durable(const raft::Configuration& configuration, const Subject& subject,
                     raft::Index index, IsDurable&& is_durable);
  void check_monotone(const Subject& subject);
  void check_log_matching(const std::vector<Subject>& subjects, const Subject& subject);

  std::map<raft::Term, raft::ServerId> leaders_;
  std::map<std::pair<raft::Incarnation, raft::Term>, raft::ServerId> votes_;
  std::map<raft::Incarnation, raft::Term> durable_term_;
  std::vector<Fact> committed_;  // position i: index i + 1
  std::map<raft::ServerId, Seen> seen_;
  std::string violation_;
};

}  // namespace vesper::golden
