#include "kv/snapshot.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace vesper::kv {
namespace {

constexpr std::size_t kHead = 4 + 8 + 8 + 1 + 1 + 8 + 16;
// A value of at least this size is assembled as it arrives. A smaller one waits in rest_.
constexpr std::size_t kLargeValue = 64u << 10;

constexpr std::uint8_t kItemFollows = 1;
constexpr std::uint8_t kSectionEnds = 0;

// True if no event has the oldest revision. Revision 1 is that of an empty store.
bool has_leapt(const Keyspace& keyspace) {
  const std::uint64_t oldest = keyspace.oldest_revision();
  const std::uint64_t first = keyspace.first_event();
  return oldest > 1 &&
         (first == keyspace.end_of_events() || keyspace.event(first)->revision() > oldest);
}

SnapshotSection after(SnapshotSection section) {
  return static_cast<SnapshotSection>(static_cast<int>(section) + 1);
}

}  // namespace

// ---- out ----------------------------------------------------------------------------------

// The pin keeps everything from the oldest readable revision on, as it is now.
Export::Export(Store& store)
    : store_(store),
      pin_(store.keyspace_, store.keyspace_.oldest_revision()),
      oldest_(store.keyspace_.oldest_revision()),
      revision_(store.keyspace_.revision()),
      leapt_(has_leapt(store.keyspace_)),
      event_(store.keyspace_.first_event()),
      end_of_events_(store.keyspace_.end_of_events()),
      times_(store.times_.samples()) {
  VESPER_ASSERT(!store.exporting_);
  store.exporting_ = true;
  store.idempotency_.begin_export();
  store.leases_.begin_export();
  store.locks_.begin_export();
  store.access_.begin_export();
  ByteWriter w(head_);
  w.u32(kSnapshotFormat);
  w.u64(store.revision());
  w.u64(oldest_);
  w.u8(store.quota_exceeded() ? 1 : 0);
  w.u8(store.access().is_enabled() ? 1 : 0);
  w.i64(store.times_.spacing().ns);
  const Id128 digest = store.digest();
  w.u64(digest.high);
  w.u64(digest.low);
}

Export::~Export() {
  store_.exporting_ = false;
  store_.idempotency_.end_export();
  store_.leases_.end_export();
  store_.locks_.end_export();
  store_.access_.end_export();
}

bool Export::read(std::string& out, std::size_t limit, std::size_t max_records) {
  // No command is applied before this returns, so a position in the tree stays valid.
  if (section_ == Section::versions) position_ = store_.keyspace_.tree(space_).lower_bound(cursor_);
  while (out.size() < limit) {
    const std::string_view value = version_ ? version_->value() : std::string_view();
    if (head_at_ < head_.size()) {
      const std::size_t n = std::min(head_.size() - head_at_, limit - out.size());
      out.append(head_, head_at_, n);
      head_at_ += n;
    } else if (value_at_ < value.size()) {
      const std::size_t n = std::min(value.size() - value_at_, limit - out.size());
      out.append(value.substr(value_at_, n));
      value_at_ += n;
    } else if (section_ == Section::end) {
      return true;
    } else if (!next_item(max_records)) {
      return false;
    }
  }
  const bool value_written = !version_ || value_at_ == version_->value().size();
  return section_ == Section::end && head_at_ == head_.size() && value_written;
}

ByteWriter Export::begin_head() {
  head_.clear();
  head_at_ = 0;
  version_ = VersionRef();
  value_at_ = 0;
  return ByteWriter(head_);
}

void Export::end_section() {
  begin_head().u8(kSectionEnds);
  section_ = after(section_);
}

void Export::take(const Version& version) {
  ByteWriter w = begin_head();
  w.u8(kItemFollows);
  write_version_head(w, version);
  version_ = VersionRef(&version);
}

// Prepares the next item, or the end of a section. False if the budget ran out first.
bool Export::next_item(std::size_t& budget) {
  if (budget == 0) return false;
  switch (section_) {
    case Section::bursts: return next_burst(budget);
    case Section::versions: return next_version(budget);
    case Section::times:
      if (times_.empty()) {
        end_section();
      } else {
        ByteWriter w = begin_head();
        w.u8(kItemFollows);
        w.i64(times_.front().time.value);
        w.u64(times_.front().revision);
        times_.pop_front();
      }
      return true;
    case Section::leases:
    case Section::holders:
    case Section::waiters:
    case Section::sessions:
    case Section::tokens:
    case Section::results: {
      --budget;
      ByteWriter w = begin_head();
      w.u8(kItemFollows);
      if (!export_next(w)) end_section();
      return true;
    }
    case Section::end: break;
  }
  VESPER_UNREACHABLE();
}

// Writes the next item of a table. Returns false if there is none.
bool Export::export_next(ByteWriter& w) {
  switch (section_) {
    case Section::leases: return store_.leases_.export_next(w);
    case Section::holders: return store_.locks_.export_holder(w);
    case Section::waiters: return store_.locks_.export_waiter(w);
    case Section::sessions: return store_.locks_.export_session(w);
    case Section::tokens: return store_.access_.export_next(w);
    case Section::results: return store_.idempotency_.export_next(w);
    case Section::bursts:
    case Section::versions:
    case Section::times:
    case Section::end: break;
  }
  VESPER_UNREACHABLE();
}

bool Export::next_burst(std::size_t& budget) {
  const Keyspace& keyspace = store_.keyspace_;
  if (std::exchange(leapt_, false)) {
    ByteWriter w = begin_head();
    w.u8(kItemFollows);
    w.u64(oldest_);
    w.u64(0);
    return true;
  }
  while (event_ < end_of_events_) {
    if (budget == 0) return false;
    --budget;
    const std::uint64_t revision = keyspace.event(event_)->revision();
    std::uint64_t end = event_ + 1;
    while (end < end_of_events_ && keyspace.event(end)->revision() == revision) ++end;
    const std::uint64_t events = end - event_;
    event_ = end;
    budget -= std::min<std::size_t>(budget, static_cast<std::size_t>(events - 1));
    if (events == 1) continue;
    ByteWriter w = begin_head();
    w.u8(kItemFollows);
    w.u64(revision);
    w.u64(events);
    return true;
  }
  end_section();
  position_ = store_.keyspace_.tree().first();
  return true;
}

bool Export::next_version(std::size_t& budget) {
  while (!next_version_of_space(budget)) {
    if (!position_.at_end()) return false;
    if (space_ == Space::elections) {
      end_section();
      return true;
    }
    space_ = static_cast<Space>(static_cast<int>(space_) + 1);
    cursor_.clear();
    has_begun_key_ = false;
    position_ = store_.keyspace_.tree(space_).first();
  }
  return true;
}

// False if there is none, or if the budget ran out.
bool Export::next_version_of_space(std::size_t& budget) {
  for (; !position_.at_end(); position_.next(), has_begun_key_ = false) {
    const KeyTree::Slot& slot = position_.slot();
    if (!has_begun_key_ || slot.key() != cursor_) {
      cursor_ = slot.key();
      has_begun_key_ = false;
      if (budget == 0) return false;
      --budget;
      has_begun_key_ = true;
      done_up_to_ = oldest_ - 1;
      const Version* base = slot.at(oldest_ - 1);
      if (base != nullptr && !base->is_tombstone()) {
        take(*base);
        return true;
      }
    }
    const Version* version = slot.after(done_up_to_);
    if (version == nullptr || version->revision() > revision_) continue;
    if (budget == 0) return false;
    --budget;
    done_up_to_ = version->revision();
    take(*version);
    return true;
  }
  return false;
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
  if (in.empty()) return false;
  if (expects_ == Expects::value) return take_value(in);
  ByteReader r(in);
  Result<bool> taken = false;
  switch (expects_) {
    case Expects::head: taken = take_head(r); break;
    case Expects::mark: taken = take_item(r); break;
    case Expects::value: VESPER_UNREACHABLE();
    case Expects::nothing: return Error{fmt::format("{} bytes after its end", in.size())};
  }
  if (taken && *taken) in.remove_prefix(r.offset());
  return taken;
}

Result<bool> Import::take_head(ByteReader& r) {
  if (r.remaining() < kHead) return false;
  if (const std::uint32_t format = r.u32(); format != kSnapshotFormat)
    return Error{fmt::format("its content has format {}, but this build reads only {}", format,
                             kSnapshotFormat)};
  revision_ = r.u64();
  oldest_ = r.u64();
  const std::uint8_t quota = r.u8();
  const std::uint8_t auth = r.u8();
  spacing_ = Duration{r.i64()};
  digest_.high = r.u64();
  digest_.low = r.u64();
  if (oldest_ == 0 || oldest_ > revision_ || quota > 1 || auth > 1)
    return Error{"the revisions of its content are out of range"};
  store_->quota_exceeded_ = quota == 1;
  store_->access_.set_enabled(auth == 1);
  expects_ = Expects::mark;
  return true;
}

// An item with the mark before it, or the end of a section.
Result<bool> Import::take_item(ByteReader& r) {
  const std::uint8_t mark = r.u8();
  if (mark == kSectionEnds) return end_section();
  if (mark != kItemFollows)
    return Error{
        fmt::format("mark {} is unknown to this build: a newer version of Vesper wrote it", mark)};
  switch (section_) {
    case Section::bursts: {
      const std::uint64_t revision = r.u64();
      const std::uint64_t events = r.u64();
      if (!r.ok()) return false;
      bursts_.push_back({revision, events});
      return true;
    }
    case Section::versions: return take_version(r);
    case Section::times: {
      const LogTime time(r.i64());
      const std::uint64_t revision = r.u64();
      if (!r.ok()) return false;
      if (times_.size() >= TimeIndex::kMaxSamples || revision > store_->revision())
        return Error{"its times are out of range"};
      times_.push_back({time, revision});
      return true;
    }
    case Section::leases:
      if (!store_->leases_.import_next(r)) return Error{"its leases are out of order or range"};
      return r.ok();
    case Section::holders:
      if (!store_->locks_.import_holder(r, store_->keyspace_))
        return Error{"its locks are out of order or range"};
      return r.ok();
    case Section::waiters:
      if (!store_->locks_.import_waiter(r)) return Error{"its waiters are out of order or range"};
      return r.ok();
    case Section::sessions:
      if (!store_->locks_.import_session(r)) return Error{"its sessions are out of order or range"};
      return r.ok();
    case Section::tokens:
      if (!store_->access_.import_next(r)) return Error{"its tokens are out of order or range"};
      return r.ok();
    case Section::results: return take_result(r);
    case Section::end: break;
  }
  VESPER_UNREACHABLE();
}

Result<bool> Import::end_section() {
  switch (section_) {
    case Section::bursts:
      if (!store_->keyspace_.begin_import(revision_, oldest_, std::move(bursts_)))
        return Error{"its revisions are out of range"};
      break;
    case Section::versions:
      if (!store_->keyspace_.finish_import()) return Error{"events of its history are missing"};
      break;
    case Section::times:
      if (!store_->times_.restore(std::move(times_), spacing_))
        return Error{"its times are out of order"};
      break;
    case Section::sessions:
      if (!store_->locks_.finish_import()) return Error{"its sessions are incomplete"};
      break;
    case Section::leases:
      for (const auto& [lease, keys] : store_->keyspace_.temporary_keys().leases())
        if (store_->leases_.find(lease) == nullptr) return Error{"its leases are incomplete"};
      break;
    case Section::holders:
      if (store_->locks_.held() != store_->keyspace_.tree(Space::locks).live() +
                                       store_->keyspace_.tree(Space::elections).live())
        return Error{"its locks are incomplete"};
      break;
    case Section::waiters:
    case Section::tokens: break;
    case Section::results: expects_ = Expects::nothing; break;
    case Section::end: VESPER_UNREACHABLE();
  }
  section_ = after(section_);
  return true;
}

Result<bool> Import::take_version(ByteReader& r) {
  auto head = read_version_head(r);
  if (!head) return std::move(head).error();
  if (!r.ok()) return false;
  if (head->value_size > r.remaining() && head->value_size >= kLargeValue) {
    arriving_ = std::make_unique<Arriving>(*head);
    expects_ = Expects::value;
    return true;
  }
  const std::string_view value = r.bytes(head->value_size);
  if (!r.ok()) return false;
  return keep(Version::make(head->key, value, head->fields));
}

Result<bool> Import::take_value(std::string_view& in) {
  const std::string_view part = in.substr(0, arriving_->value.missing());
  arriving_->value.add(part);
  arriving_->value_sum.add(part);
  in.remove_prefix(part.size());
  if (arriving_->value.missing() > 0) return false;
  const auto arrived = std::move(arriving_);
  expects_ = Expects::mark;
  return keep(Version::make(arrived->key, arrived->value.finish(), arrived->fields,
                            arrived->value_sum.digest()));
}

Result<bool> Import::keep(VersionRef version) {
  if (!store_->keyspace_.add(version))
    return Error{fmt::format("key '{}' is out of order", escaped(version->key()))};
  return true;
}

Result<bool> Import::take_result(ByteReader& r) {
  auto kept = read_kept(r);
  if (!kept) return std::move(kept).error();
  if (!r.ok()) return false;
  const auto result = decode_result(kept->result.view());
  const bool in_order =
      result.ok() && result->revision <= store_->revision() && kept->asked_at >= latest_;
  latest_ = kept->asked_at;
  if (!store_->idempotency_.fits(*kept))
    return Error{fmt::format("more idempotency keys than are kept ({} or {} bytes)",
                             store_->idempotency_.most(), kMaxIdempotencyBytes)};
  if (!in_order || !store_->idempotency_.keep(*kept))
    return Error{fmt::format("the result of idempotency key '{}' is out of order",
                             escaped(kept->idempotency_key))};
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
