// The state of a store as a stream of bytes, given out and taken in little by little: neither the
// size of the store nor what is written meanwhile stops the loop. Little-endian:
//
//   u32 format = 2   u64 revision   u64 digest.high   u64 digest.low
//   sections, each u32 kind, u64 count, then `count` items; kind 0 (no count) ends the content
//
//   section 1, the keys in their order, each: u16 length, key   u8 flags (1: json)   u64 revision
//   u64 create_revision   u64 version   u32 length, value
//
//   section 2, results of idempotency keys in the order of asked_at, at most kMaxIdempotencyKeys:
//   kv/idempotency_table.hpp has the form; missing if there are none
//
// A kind that this build does not know is refused by name: what it means would be lost. Nothing in
// here knows of files, chunks or indexes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/checksum.hpp"
#include "kv/store.hpp"

namespace vesper::kv {

inline constexpr std::uint32_t kSnapshotFormat = 2;

// The content of `store` as it is when this is made, whatever is applied while it is given out: a
// key that is overwritten or removed before its turn is kept as it was, once; one that is made
// meanwhile is passed over. Memory grows by the keys touched, not by the size of the store. One
// export at a time; the store outlives it.
class Export {
 public:
  explicit Export(Store& store);
  ~Export();
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;

  // Appends to `out` until that holds `limit` bytes or `max_records` were looked at. True when
  // the content has ended.
  bool read(std::string& out, std::size_t limit, std::size_t max_records);

 private:
  ByteWriter begin_head();
  void begin_section();
  bool next_result(std::size_t& budget);
  bool next_item(Store::Records::iterator& at, std::size_t& budget);
  void take(std::string_view key, const Item& item);

  Store& store_;
  std::string head_;  // what stands before the value that is being given out
  std::size_t head_at_ = 0;
  SharedBytes value_;
  std::size_t value_at_ = 0;
  std::uint32_t section_ = 1;  // that is being given out
  std::uint64_t left_;         // of it, not yet taken
  std::uint64_t results_;      // of idempotency keys, at the mark
  bool ending_ = false;        // the end is in head_
};

// Builds a store from the content of another one, in pieces of any size, at a cost that follows the
// piece: a large value is put together as it comes. Everything is checked and bounded; at the end
// so are count, revision and digest.
class Import {
 public:
  explicit Import(std::size_t max_idempotency_keys = kMaxIdempotencyKeys)
      : store_(std::make_unique<Store>(max_idempotency_keys)) {}

  // The next bytes. An error says what is wrong with them; nothing is to be added after one.
  Result<void> add(std::string_view content);
  // After the last byte: the store, whole and verified.
  Result<std::unique_ptr<Store>> finish();
  // The half-built store of an import that is given up, for sweeping.
  std::unique_ptr<Store> give_up() { return std::move(store_); }

 private:
  enum class Expects : std::uint8_t { head, section, item, value, nothing };
  // Consumes one unit from `in`; false if its end has not come yet.
  Result<bool> take(std::string_view& in);
  Result<bool> take_item(std::string_view& in);
  Result<bool> take_result(std::string_view& in);
  bool take_value(std::string_view& in);
  void keep(const SharedBytes& own, std::size_t key_size, Item item, Id128 value_sum);
  void took_one();

  // An item whose large value is arriving.
  struct Arriving {
    Arriving(Item its, std::size_t key, std::size_t value)
        : item(std::move(its)), key_size(key), bytes(key + value) {}
    Item item;
    std::size_t key_size;
    BytesBuilder bytes;  // key and value
    Checksum128 value_sum{kItemSeed};
  };

  std::unique_ptr<Store> store_;
  std::string rest_;  // the beginning of a unit
  Expects expects_ = Expects::head;
  std::unique_ptr<Arriving> arriving_;  // while a value is expected
  std::uint32_t section_ = 0;           // the last one that came
  std::uint64_t left_ = 0;              // items of it
  LogTime latest_;                      // asked_at of the results so far
  Id128 digest_;
};

}  // namespace vesper::kv
