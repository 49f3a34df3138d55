// Joins the peers' knowledge of starts with the data directory: counts this server's start, and
// keeps the starts of others in a record. storage/boots_seen.hpp has the content, peer/settings.hpp
// says what it is for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "peer/settings.hpp"
#include "storage/boots_seen.hpp"
#include "storage/records.hpp"

namespace vesper::server {

class BootMemory final : public peer::BootMemory {
 public:
  // Counts this start, and reads what was seen of others. Blocks; call it once, before the server
  // speaks to any peer. A damaged record of the starts of others is not an error: `note` says so,
  // and the record begins again.
  Result<void> open(storage::Fs& fs, raft::Incarnation incarnation);

  std::uint64_t boot_number() const { return boot_number_; }
  const std::string& note() const { return note_; }
  // Why this server's directory is an older copy; nothing while that is not known.
  const std::optional<std::string>& older_copy() const { return older_copy_; }
  // Records that the directory is an older copy, so that every later start knows it from the
  // beginning: each start counts the number up, and would soon pass the one that peers have seen.
  void keep_older_copy(std::string why);

  // Queues what has changed since the last call. Called once per turn.
  void save(storage::RecordWriter& records);

  peer::SeenBoot latest_of(raft::Incarnation incarnation) const override;
  peer::SeenBoot latest_of(raft::ServerId server) const override;
  void saw(raft::ServerId server, const peer::SeenBoot& seen) override;
  void went_back(raft::ServerId peer, const peer::SeenBoot& seen) override;

 private:
  Result<void> read_seen(storage::Fs& fs);
  Result<void> read_older_copy(storage::Fs& fs);

  raft::Incarnation incarnation_;  // of this directory
  storage::BootsSeen seen_;
  std::uint64_t boot_number_ = 0;
  bool changed_ = false;       // seen_, since the last save
  bool is_copy_kept_ = false;  // older_copy_ is in the record, or queued for it
  bool copy_is_queued_ = false;
  std::string note_;
  std::optional<std::string> older_copy_;
};

}  // namespace vesper::server
