#include "kv/snapshot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kv/digest.hpp"

namespace vesper::kv {
namespace {

enum Section : std::uint32_t { kEnd = 0, kKeys = 1, kResults = 2 };
constexpr std::uint8_t kJson = 1;
constexpr std::size_t kHead = 4 + 8 + 16;
// A value of at least this size is assembled as it arrives. A smaller one waits in rest_.
constexpr std::size_t kLargeValue = 64u << 10;

}  // namespace

// ---- out ----------------------------------------------------------------------------------

Export::Export(Store& store)
    : store_(store), left_(store.size()), results_(store.idempotency_.size()) {
  VESPER_ASSERT(store.mark_ == nullptr);
  store.mark_ = std::make_unique<Store::Mark>();
  store.mark_->revision = store.revision();
  store.idempotency_.begin_export();
  ByteWriter w(head_);
  w.u32(kSnapshotFormat);
  w.u64(store.revision());
  const Id128 digest = store.digest();
  w.u64(digest.high);
  w.u64(digest.low);
  w.u32(kKeys);
  w.u64(left_);
}

Export::~Export() {
  store_.give_up_export();
}

bool Export::read(std::string& out, std::size_t limit, std::size_t max_records) {
  // No command is applied before this returns, so an iterator into the records stays valid.
  const Store::Mark& mark = *store_.mark_;
  auto at = mark.begun ? store_.records_.upper_bound(mark.cursor.view()) : store_.records_.begin();
  while (out.size() < limit) {
    if (head_at_ < head_.size()) {
      const std::size_t n = std::min(head_.size() - head_at_, limit - out.size());
      out.append(head_, head_at_, n);
      head_at_ += n;
    } else if (value_at_ < value_.size()) {
      const std::size_t n = std::min(value_.size() - value_at_, limit - out.size());
      out.append(value_.view().substr(value_at_, n));
      value_at_ += n;
    } else if (ending_) {
      return true;
    } else if (left_ == 0) {
      begin_section();
    } else if (section_ == kResults ? !next_result(max_records) : !next_item(at, max_records)) {
      return false;
    }
  }
  return ending_ && head_at_ == head_.size();
}

ByteWriter Export::begin_head() {
  head_.clear();
  head_at_ = 0;
  value_ = SharedBytes();
  value_at_ = 0;
  return ByteWriter(head_);
}

// The current section has ended: begins the next one, or writes the end. There is no section with
// zero results, so that a store without idempotency keys has the same bytes as in versions without
// them.
void Export::begin_section() {
  VESPER_ASSERT(store_.mark_->images.empty());
  ByteWriter w = begin_head();
  if (section_ == kKeys && results_ > 0) {
    section_ = kResults;
    left_ = results_;
    w.u32(kResults);
    w.u64(left_);
  } else {
    w.u32(kEnd);
    ending_ = true;
  }
}

bool Export::next_result(std::size_t& budget) {
  if (budget == 0) return false;
  --budget;
  --left_;
  ByteWriter w = begin_head();
  const bool found = store_.idempotency_.export_next(w);
  VESPER_ASSERT(found);
  return true;
}

void Export::take(std::string_view key, const Item& item) {
  --left_;
  ByteWriter w = begin_head();
  w.u16(static_cast<std::uint16_t>(key.size()));
  w.bytes(key);
  w.u8(item.json ? kJson : 0);
  w.u64(item.revision);
  w.u64(item.create_revision);
  w.u64(item.version);
  w.u32(static_cast<std::uint32_t>(item.value.size()));
  value_ = item.value;
}

// Exports the next key as it was at the mark: the smaller of the next untouched record and the
// first image. Returns false if the budget ran out first.
bool Export::next_item(Store::Records::iterator& at, std::size_t& budget) {
  Store::Mark& mark = *store_.mark_;
  const auto image = mark.images.begin();
  const auto is_next = [&] {
    return image != mark.images.end() &&
           (at == store_.records_.end() || image->first.view() <= at->key.view());
  };
  // Skips keys that were created since the mark. Also skips keys that were overwritten, because
  // their images come first.
  while (at != store_.records_.end() && at->item.revision > mark.revision && !is_next()) {
    if (budget == 0) return false;
    --budget;
    mark.begun = true;
    mark.cursor = at->key;
    ++at;
  }
  if (budget == 0) return false;
  --budget;
  mark.begun = true;
  if (is_next()) {
    take(image->first.view(), image->second);
    mark.cursor = image->first;
    mark.images.erase(image);
  } else {
    VESPER_ASSERT(at != store_.records_.end());
    take(at->key.view(), at->item);
    mark.cursor = at->key;
    ++at;
  }
  return true;
}

// ---- in -----------------------------------------------------------------------------------

Result<void> Import::add(std::string_view content) {
  // Complete units are read in place. The beginning of an incomplete one waits in rest_.
  const bool waited = !rest_.empty();
  if (waited) rest_.append(content);
  std::string_view in = waited ? std::string_view(rest_) : content;
  const std::size_t before = in.size();
  for (;;) {
    Result<bool> taken = take(in);
    if (!taken) return std::move(taken).error();
    if (!*taken) break;
  }
  if (waited) rest_.erase(0, before - in.size());
  else rest_.assign(in);
  return {};
}

Result<bool> Import::take(std::string_view& in) {
  ByteReader r(in);
  switch (expects_) {
    case Expects::head: {
      if (in.size() < kHead) return false;
      if (const std::uint32_t format = r.u32(); format != kSnapshotFormat)
        return Error{fmt::format("its content has format {}, but this build reads only {}", format,
                                 kSnapshotFormat)};
      store_->revision_ = r.u64();
      digest_.high = r.u64();
      digest_.low = r.u64();
      if (store_->revision_ == 0) return Error{"its content has no revision"};
      expects_ = Expects::section;
      break;
    }
    case Expects::section: {
      if (in.size() < 4) return false;
      const std::uint32_t kind = r.u32();
      if (kind == kEnd) {
        expects_ = Expects::nothing;
        break;
      }
      if (kind != kKeys && kind != kResults)
        return Error{fmt::format(
            "section {} is unknown to this build: a newer version of Vesper wrote it", kind)};
      if (in.size() < 12) return false;
      if (kind <= section_) return Error{"its sections are out of order"};
      section_ = kind;
      left_ = r.u64();
      if (const std::size_t most = store_->idempotency_.most(); kind == kResults && left_ > most)
        return Error{fmt::format("{} idempotency keys, expected at most {}", left_, most)};
      expects_ = left_ > 0 ? Expects::item : Expects::section;
      break;
    }
    case Expects::item: return section_ == kResults ? take_result(in) : take_item(in);
    case Expects::value: return take_value(in);
    case Expects::nothing:
      if (in.empty()) return false;
      return Error{fmt::format("{} bytes after its end", in.size())};
  }
  in.remove_prefix(r.offset());
  return true;
}

Result<bool> Import::take_item(std::string_view& in) {
  ByteReader r(in);
  const std::size_t key_size = r.u16();
  if (r.ok() && (key_size == 0 || key_size > kMaxKey))
    return Error{fmt::format("a key of {} bytes, expected 1 to {}", key_size, kMaxKey)};
  const std::string_view key = r.bytes(key_size);
  Item item;
  const std::uint8_t flags = r.u8();
  item.json = (flags & kJson) != 0;
  item.revision = r.u64();
  item.create_revision = r.u64();
  item.version = r.u64();
  const std::size_t value_size = r.u32();
  if (!r.ok()) return false;
  if ((flags & ~kJson) != 0) return Error{fmt::format("flags {} are unknown to this build", flags)};
  if (value_size > (item.json ? kMaxJson : kMaxValue))
    return Error{fmt::format("a value of {} bytes is too large", value_size)};
  if (item.create_revision < 2 || item.create_revision > item.revision || item.version == 0 ||
      item.revision > store_->revision_)
    return Error{fmt::format("the revisions of key '{}' are out of range", escaped(key))};
  const auto& records = store_->records_;
  if (!records.empty() && records.rbegin()->key.view() >= key)
    return Error{fmt::format("key '{}' is out of order", escaped(key))};
  if (value_size > r.remaining() && value_size >= kLargeValue) {
    arriving_ = std::make_unique<Arriving>(std::move(item), key_size, value_size);
    arriving_->bytes.add(key);
    in.remove_prefix(r.offset());
    expects_ = Expects::value;
    return true;
  }
  const std::string_view value = r.bytes(value_size);
  if (!r.ok()) return false;
  const SharedBytes own = SharedBytes::make(key_size + value_size, [&](char* out) {
    std::memcpy(out, key.data(), key_size);
    if (value_size > 0) std::memcpy(out + key_size, value.data(), value_size);
  });
  keep(own, key_size, std::move(item), checksum128(value, kItemSeed));
  in.remove_prefix(r.offset());
  return true;
}

bool Import::take_value(std::string_view& in) {
  if (in.empty()) return false;
  const std::string_view part = in.substr(0, arriving_->bytes.missing());
  arriving_->bytes.add(part);
  arriving_->value_sum.add(part);
  in.remove_prefix(part.size());
  if (arriving_->bytes.missing() > 0) return false;
  keep(arriving_->bytes.finish(), arriving_->key_size, std::move(arriving_->item),
       arriving_->value_sum.digest());
  arriving_.reset();
  return true;
}

void Import::keep(const SharedBytes& own, std::size_t key_size, Item item, Id128 value_sum) {
  const SharedBytes key = own.slice(0, key_size);
  item.value = own.slice(key_size, own.size() - key_size);
  item.digest = digest_of(key.view(), item, value_sum);
  store_->sum_ = plus(store_->sum_, item.digest);
  store_->bytes_ += own.size();
  store_->records_.insert(store_->records_.end(), Store::Record{key, std::move(item)});
  took_one();
}

// Counts one item of the current section.
void Import::took_one() {
  expects_ = --left_ == 0 ? Expects::section : Expects::item;
}

Result<bool> Import::take_result(std::string_view& in) {
  ByteReader r(in);
  auto kept = read_kept(r);
  if (!kept) return std::move(kept).error();
  if (!r.ok()) return false;
  const bool in_order = kept->result.revision <= store_->revision_ && kept->asked_at >= latest_;
  latest_ = kept->asked_at;
  if (!in_order || !store_->idempotency_.keep(*kept))
    return Error{fmt::format("the result of idempotency key '{}' is out of order",
                             escaped(kept->idempotency_key))};
  in.remove_prefix(r.offset());
  took_one();
  return true;
}

Result<std::unique_ptr<Store>> Import::finish() {
  if (expects_ != Expects::nothing || !rest_.empty()) return Error{"its content ends too early"};
  if (store_->digest() != digest_)
    return Error{fmt::format("its content has digest {}, expected {}", to_hex(store_->digest()),
                             to_hex(digest_))};
  return std::move(store_);
}

}  // namespace vesper::kv
