// Export and import of a store as a stream of bytes, in small pieces. Neither the size of the store
// nor concurrent writes stall the loop. Files and chunks are in storage/snapshot_files.hpp.
// Little-endian:
//
//   u32 format = 2   u64 revision   u64 digest.high   u64 digest.low
//   sections, each u32 kind, u64 count, then `count` items; kind 0 (no count) ends the content
//
//   section 1, the keys in order, each: u16 length, key   u8 flags (1: json)   u64 revision
//   u64 create_revision   u64 version   u32 length, value
//
//   section 2, the results of the idempotency table in the order of asked_at, at most
//   kMaxIdempotencyKeys, each in the form of kv/idempotency_table.hpp; missing if there are none
//
// An unknown section kind is refused, and the error names it: skipping it would lose state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "kv/store.hpp"

namespace vesper::kv {

inline constexpr std::uint32_t kSnapshotFormat = 2;

// The content of `store` at the construction of this object, unaffected by later commands. If a key
// is overwritten or removed before its turn, its old state is kept once. A key that is created
// meanwhile is skipped. Memory grows with the number of keys touched, not with the size of the
// store. Only one export may exist at a time, and the store must outlive it.
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
  ByteWriter begin_head();
  void begin_section();
  bool next_result(std::size_t& budget);
  bool next_item(Store::Records::iterator& at, std::size_t& budget);
  void take(std::string_view key, const Item& item);

  Store& store_;
  std::string head_;  // the bytes before the current value
  std::size_t head_at_ = 0;
  SharedBytes value_;
  std::size_t value_at_ = 0;
  std::uint32_t section_ = 1;  // the current one
  std::uint64_t left_;         // items of the section that are not yet exported
  std::uint64_t results_;      // results in the idempotency table at the mark
  bool ending_ = false;        // head_ holds the end of the content
};

// Builds a store from the content of another one, in pieces of any size. The cost of a call grows
// with its piece: a large value is assembled as it arrives. Everything is checked and bounded. At
// the end, count, revision and digest are verified.
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
  enum class Expects : std::uint8_t { head, section, item, value, nothing };
  // Consumes one unit from `in`. Returns false if the unit is incomplete.
  Result<bool> take(std::string_view& in);
  Result<bool> take_item(std::string_view& in);
  Result<bool> take_result(std::string_view& in);
  bool take_value(std::string_view& in);
  void keep(const SharedBytes& own, std::size_t key_size, Item item, Id128 value_sum);
  void took_one();

  // An item with a large value that is still arriving.
  struct Arriving {
    Arriving(Item its, std::size_t key, std::size_t value)
        : item(std::move(its)), key_size(key), bytes(key + value) {}
    Item item;
    std::size_t key_size;
    BytesBuilder bytes;  // key and value
    Checksum128 value_sum{kItemSeed};
  };

  std::unique_ptr<Store> store_;
  std::string rest_;  // the beginning of an incomplete unit
  Expects expects_ = Expects::head;
  std::unique_ptr<Arriving> arriving_;  // set while a value is expected
  std::uint32_t section_ = 0;           // kind of the last section
  std::uint64_t left_ = 0;              // items left in the section
  LogTime latest_;                      // the largest asked_at so far
  Id128 digest_;
};

}  // namespace vesper::kv
