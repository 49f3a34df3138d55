// Export and import of a store as a stream of bytes, in small pieces. Neither the size of the store
// nor concurrent writes stall the loop. Files and chunks are in storage/snapshot_files.hpp.
// Little-endian:
//
//   u32 format = 5   u64 revision   u64 oldest revision   u8 quota exceeded   u8 auth enabled
//   i64 spacing of times   u64 digest.high   u64 digest.low
//   sections 1 to 9 in order, each: items, each after a u8 1; a u8 0 ends the section
//
//   section 1, the bursts: u64 revision, u64 events, for each revision from the oldest one on that
//   has more than one event, in order; first the oldest revision with 0 events, if it has none
//   though it is not 1 (Keyspace::leap)
//   section 2, the versions that stay (kv/keyspace.hpp), by space and key, and for each key the
//   oldest first (kv/version_codec.hpp)
//   section 3, the times: i64 time, u64 revision (kv/time_index.hpp)
//   section 4, the leases (kv/leases.hpp)
//   sections 5 to 7, the holders of locks, the waiters, and the sessions (kv/locks.hpp)
//   section 8, the tokens (kv/access.hpp)
//   section 9, the results of the idempotency table in the order of asked_at
//   (kv/idempotency_table.hpp)
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "kv/store.hpp"
#include "kv/version_codec.hpp"

namespace vesper::kv {

inline constexpr std::uint32_t kSnapshotFormat = 5;

// The sections of the content, in order. The values are those of the comment above.
enum class SnapshotSection : std::uint8_t {
  bursts = 1,
  versions,
  times,
  leases,
  holders,
  waiters,
  sessions,
  tokens,
  results,
  end
};

// The content of `store` at the construction of this object, unaffected by later commands: versions
// are immutable, and a pin keeps those that compaction would free. Memory grows with what is
// written meanwhile, not with the size of the store. Only one export may exist at a time, and the
// store must outlive it.
class Export {
 public:
  explicit Export(Store& store);
  ~Export();
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  // Appends to `out` until it holds `limit` bytes or `max_records` records were visited. Returns
  // true at the end of the content.
  bool read(std::string& out, std::size_t limit, std::size_t max_records);

 private:
  using Section = SnapshotSection;

  ByteWriter begin_head();
  void end_section();
  bool next_item(std::size_t& budget);
  bool export_next(ByteWriter& w);
  bool next_burst(std::size_t& budget);
  bool next_version(std::size_t& budget);
  bool next_version_of_space(std::size_t& budget);
  void take(const Version& version);

  Store& store_;
  Keyspace::Pin pin_;
  std::uint64_t oldest_, revision_;
  std::string head_;  // the bytes before the current value
  std::size_t head_at_ = 0;
  VersionRef version_;  // whose value is being written
  std::size_t value_at_ = 0;
  Section section_ = Section::bursts;  // the current one
  bool leapt_;                         // section 1: the oldest revision has no event
  std::uint64_t event_;                // section 1: the next one
  std::uint64_t end_of_events_;
  // Section 2: the key whose versions up to done_up_to_ were exported, and all keys below it and in
  // earlier spaces. The position is valid within one call of read() only.
  Space space_ = Space::keys;
  std::string cursor_;
  bool has_begun_key_ = false;    // false: nothing of this key was exported
  std::uint64_t done_up_to_ = 0;  // if it has begun
  KeyTree::Position position_;
  std::deque<TimeIndex::Sample> times_;
};

// Builds a store from the content of another one, in pieces of any size. The cost of a call grows
// with its piece: a large value is assembled as it arrives. Everything is checked and bounded. At
// the end, the digest is verified.
class Import {
 public:
  explicit Import(std::size_t max_idempotency_keys = kMaxIdempotencyKeys)
      : store_(std::make_unique<Store>(max_idempotency_keys)) {}

  // Takes the next bytes. An error names the fault. After an error nothing may be added.
  Result<void> add(std::string_view content);
  // Called after the last byte. Returns the complete and verified store.
  Result<std::unique_ptr<Store>> finish();
  // The half-built store of an abandoned import, to be swept.
  std::unique_ptr<Store> give_up() { return std::move(store_); }

 private:
  enum class Expects : std::uint8_t { head, mark, value, nothing };
  using Section = SnapshotSection;
  // Consumes one unit from `in`. Returns false if the unit is incomplete.
  Result<bool> take(std::string_view& in);
  Result<bool> take_head(ByteReader& r);
  Result<bool> take_item(ByteReader& r);
  Result<bool> end_section();
  Result<bool> take_version(ByteReader& r);
  Result<bool> take_result(ByteReader& r);
  Result<bool> take_value(std::string_view& in);
  Result<bool> keep(VersionRef version);

  // A version with a large value that is still arriving.
  struct Arriving {
    explicit Arriving(const VersionHead& head)
        : key(head.key), fields(head.fields), value(head.value_size) {}
    std::string key;
    VersionFields fields;
    BytesBuilder value;
    Checksum128 value_sum{kVersionSeed};
  };

  std::unique_ptr<Store> store_;
  std::string rest_;  // the beginning of an incomplete unit
  Expects expects_ = Expects::head;
  Section section_ = Section::bursts;
  std::unique_ptr<Arriving> arriving_;  // set while a value is expected
  std::uint64_t revision_ = 0, oldest_ = 0;
  std::vector<Keyspace::Burst> bursts_;
  std::deque<TimeIndex::Sample> times_;
  Duration spacing_;
  LogTime latest_;  // the largest asked_at so far
  Id128 digest_;
};

}  // namespace vesper::kv
