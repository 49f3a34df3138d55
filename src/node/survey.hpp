// What a data directory holds, for `vesper recover`: the identity, the log, and the state after its
// last entry. Offline; blocks. node/new_cluster.hpp makes one of them the start of a new cluster.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "kv/store.hpp"
#include "raft/types.hpp"
#include "storage/boots_seen.hpp"
#include "storage/fs.hpp"

namespace vesper::node {

struct Survey {
  raft::ServerId server;  // that the files name
  raft::Incarnation incarnation;
  raft::HardState hard_state;
  raft::Index commit_index;    // the directory's own knowledge; entries after it may be committed
  raft::Index snapshot_index;  // of the newest snapshot; 0: none
  raft::Snapshot state;        // names the state after the last entry, see AppliedState::identity
  std::unique_ptr<kv::Store> store;  // after the last entry
  Id128 digest;                      // of that store
  std::uint64_t revision = 0;        // of that store
  // A point of the log that was applied: its term, and the digest after it. Two surveys that agree
  // on the term agree on all entries up to there (§5.3), and must agree on the digest.
  struct Point {
    raft::Term term;
    Id128 digest;
  };
  // After first_point and each of the entries that follow, up to the last one.
  raft::Index first_point;
  std::deque<Point> points;
  std::uint64_t boots = 0;        // starts of the directory
  storage::BootsSeen boots_seen;  // of other directories; empty if the record is damaged
  std::string older_copy;  // why the directory is known to be an older copy; empty: it is not
  std::string diverged;    // why this state is known not to be a majority's; empty: nothing says so

  raft::Index last_index() const { return state.last_index; }
  raft::Term last_term() const { return state.last_term; }
  const raft::Configuration& configuration() const { return state.configuration; }
  // The member that this directory is of the last configuration. Never null after survey().
  const raft::Member* self() const;
  // Null if the point is not known.
  const Point* point(raft::Index index) const;
};

// Reads the directory as a start does: what was never finished is removed, and the end of the log
// becomes durable. All entries are applied, whether they are known to be committed or not, because
// the entries that the cluster acknowledged last are not. Errors name the file and what is wrong. A
// directory without the log of a cluster is an error, and so is one that is to be set aside.
Result<Survey> survey(storage::Fs& fs);

// True if `a` has more of the log than `b` (§5.4.1: the later last term, then the longer log).
bool is_more_up_to_date(const Survey& a, const Survey& b);

// True if `a` is an older copy of its directory, which may lack entries that were acknowledged: its
// server has noticed that, or `witness` has seen a later start of it.
bool is_older_copy(const Survey& a, const Survey& witness);

// The highest index at which both surveys have the same entry and different states. Nothing if
// there is none: wherever their logs agree and both states are known, these are equal.
std::optional<raft::Index> first_difference(const Survey& a, const Survey& b);

}  // namespace vesper::node
