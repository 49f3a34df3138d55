#include "kv/keyspace.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "kv/digest.hpp"

namespace vesper::kv {
// ---- pins ---------------------------------------------------------------------------------

Keyspace::Pin::Pin(Keyspace& keyspace, std::uint64_t revision)
    : keyspace_(&keyspace), revision_(revision) {
  ++keyspace.pins_[revision];
}

void Keyspace::Pin::release() {
  if (keyspace_ == nullptr) return;
  const auto pin = keyspace_->pins_.find(revision_);
  VESPER_ASSERT(pin != keyspace_->pins_.end());
  if (--pin->second == 0) keyspace_->pins_.erase(pin);
  keyspace_ = nullptr;
}

// ---- reading ------------------------------------------------------------------------------

const Version* Keyspace::find(Space space, std::string_view key) const {
  const KeyTree::Slot* slot = tree(space).find(key);
  return slot == nullptr ? nullptr : unless_tombstone(slot->newest.get());
}

const Version* Keyspace::find(std::string_view key, KeyTree::Hint& hint) const {
  const KeyTree::Slot* slot = tree().find(key, hint);
  return slot == nullptr ? nullptr : unless_tombstone(slot->newest.get());
}

const Version* Keyspace::find(std::string_view key, std::uint64_t revision) const {
  const KeyTree::Slot* slot = tree().find(key);
  return slot == nullptr ? nullptr : unless_tombstone(slot->at(revision));
}

// Readable are the events from oldest_ on, and the state at oldest_. The version before an event at
// oldest_ itself is kept for that event only, so it is not listed.
std::vector<VersionRef> Keyspace::history(std::string_view key, std::size_t limit) const {
  std::vector<VersionRef> versions;
  const KeyTree::Slot* slot = tree().find(key);
  if (slot == nullptr) return versions;
  const auto add = [&](const Version& version) {
    if (versions.size() >= limit) return false;
    if (version.revision() >= oldest_ || !version.is_tombstone()) versions.emplace_back(&version);
    return version.revision() > oldest_;  // an older one is readable, too
  };
  if (!add(*slot->newest)) return versions;
  for (std::size_t i = slot->older.size(); i > 0; --i)
    if (!add(slot->older.at(i - 1))) break;
  return versions;
}

Id128 Keyspace::digest() const {
  return plus(live_digest_, minus(total_.digest, floor_.digest));
}

Id128 Keyspace::recomputed_digest() const {
  Id128 sum;
  const auto add = [&](const KeyTree::Slot& slot) {
    const Version* next = slot.newest.get();  // the next newer one than the version visited
    const auto stays = [&](const Version& version) {
      if (version.revision() >= oldest_) return true;
      return !version.is_tombstone() && (&version == next || next->revision() >= oldest_);
    };
    if (stays(*slot.newest)) sum = plus(sum, slot.newest->recomputed_digest());
    for (std::size_t i = slot.older.size(); i > 0; --i) {
      const Version& version = slot.older.at(i - 1);
      if (stays(version)) sum = plus(sum, version.recomputed_digest());
      next = &version;
    }
  };
  for (const KeyTree& tree : trees_)
    for (auto at = tree.first(); !at.at_end(); at.next()) add(at.slot());
  return sum;
}

const Version* Keyspace::replaced_by(const Version& event) const {
  const KeyTree::Slot* slot = tree(event.space()).find(event.key());
  VESPER_ASSERT(slot != nullptr);
  return unless_tombstone(slot->older.find(event.revision() - 1));
}

// ---- writing ------------------------------------------------------------------------------

Keyspace::Dropped& Keyspace::Dropped::operator+=(const Dropped& other) {
  digest = plus(digest, other.digest);
  cost += other.cost;
  return *this;
}

void Keyspace::add_dropped_by(std::uint64_t number, Dropped& total) const {
  const Version& version = *event(number);
  if (const Version* replaced = replaced_by(version))
    total += {replaced->digest(), replaced->cost()};
  if (version.is_tombstone()) total += {version.digest(), version.cost()};
}

void Keyspace::append_event(VersionRef version, const Dropped& dropped) {
  if (log_.end() % kCheckpointEvery == 0) {
    if (checkpoints_.empty()) first_checkpoint_ = log_.end() / kCheckpointEvery;
    checkpoints_.push_back(total_);
  }
  total_ += dropped;
  log_.push_back(std::move(version));
}

void Keyspace::commit(std::vector<VersionRef> versions) {
  constexpr std::size_t kFetchedAhead = 8;
  VESPER_ASSERT(!versions.empty());
  KeyTree::Hint hint;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    // A large transaction has pushed its first versions out of the processor's cache.
    if (i + kFetchedAhead < versions.size()) __builtin_prefetch(versions[i + kFetchedAhead].get());
    VESPER_ASSERT(versions[i]->revision() == revision_ + 1);
    VESPER_ASSERT(versions[i]->place() == i + 1);
    put(std::move(versions[i]), hint);
  }
  ++revision_;
}

void Keyspace::commit(VersionRef version, KeyTree::Hint& hint) {
  VESPER_ASSERT(version->revision() == revision_ + 1);
  VESPER_ASSERT(version->place() == 1);
  put(std::move(version), hint);
  ++revision_;
}

void Keyspace::put(VersionRef version, KeyTree::Hint& hint) {
  const Version* replaced = unless_tombstone(tree_of(*version).put(version, hint));
  const Dropped dropped = count_live(*version, replaced);
  append_event(std::move(version), dropped);
}

// Counts a new version of a key. Returns what compaction past this event drops.
Keyspace::Dropped Keyspace::count_live(const Version& version, const Version* replaced) {
  Dropped dropped;
  if (replaced != nullptr) {
    dropped = {replaced->digest(), replaced->cost()};
    live_digest_ = minus(live_digest_, dropped.digest);
    live_cost_ -= dropped.cost;
    bytes_ -= replaced->key().size() + replaced->value().size();
    temporary_keys_.remove(*replaced);
  }
  const Dropped own{version.digest(), version.cost()};
  if (version.is_tombstone()) return dropped += own;
  live_digest_ = plus(live_digest_, own.digest);
  live_cost_ += own.cost;
  bytes_ += version.key().size() + version.value().size();
  temporary_keys_.add(version);
  return dropped;
}

// ---- compaction ---------------------------------------------------------------------------

// The total before an event: that of the checkpoint before it, or of the floor if that is nearer,
// and the events in between. These have not been trimmed, because they are readable.
Keyspace::Dropped Keyspace::dropped_before(std::uint64_t event) const {
  if (event == log_.end()) return total_;
  std::uint64_t at = event / kCheckpointEvery * kCheckpointEvery;
  Dropped total = floor_;
  if (at > floor_event_) total = checkpoint(at);
  else at = floor_event_;
  for (; at < event; ++at) add_dropped_by(at, total);
  return total;
}

void Keyspace::leap(std::uint64_t revision) {
  VESPER_ASSERT(revision > revision_);
  revision_ = revision;
}

void Keyspace::compact(std::uint64_t revision) {
  VESPER_ASSERT(revision > oldest_);
  VESPER_ASSERT(revision <= revision_);
  const std::uint64_t event = find_event(revision);
  floor_ = dropped_before(event);
  floor_event_ = event;
  oldest_ = revision;
  while (!checkpoints_.empty() && first_checkpoint_ * kCheckpointEvery < floor_event_) {
    checkpoints_.pop_front();
    ++first_checkpoint_;
  }
}

std::uint64_t Keyspace::revision_for_history(std::uint64_t max_cost) const {
  const auto is_enough = [&](const Dropped& total) { return total_.cost - total.cost <= max_cost; };
  if (is_enough(floor_)) return oldest_;
  // The last checkpoint that is not enough, and from there event by event.
  const auto after = std::partition_point(checkpoints_.begin(), checkpoints_.end(),
                                          [&](const Dropped& total) { return !is_enough(total); });
  std::uint64_t at = floor_event_;
  Dropped total = floor_;
  if (after != checkpoints_.begin()) {
    total = *std::prev(after);
    at = (first_checkpoint_ + static_cast<std::uint64_t>(after - checkpoints_.begin()) - 1) *
         kCheckpointEvery;
  }
  while (!is_enough(total)) add_dropped_by(at++, total);
  if (at == log_.end()) return revision_;
  // Compaction drops whole transactions only.
  const Version& first = *event(at);
  return first.place() == 1 ? first.revision() : std::min(first.revision() + 1, revision_);
}

std::uint64_t Keyspace::trim_floor() const {
  return pins_.empty() ? oldest_ : std::min(oldest_, pins_.begin()->first);
}

// Takes the events in order, so the version that one replaced is the oldest of its key.
bool Keyspace::trim(std::size_t& max, std::size_t& max_bytes) {
  const std::uint64_t floor = trim_floor();
  const auto spend = [&](const Version& version) {
    max -= std::min<std::size_t>(max, 1);
    max_bytes -= std::min<std::uint64_t>(max_bytes, version.cost());
  };
  while (!log_.empty() && log_.front()->revision() < floor) {
    if (max == 0 || max_bytes == 0) return false;
    --max;
    const VersionRef event = log_.pop_front();
    KeyTree& tree = tree_of(*event);
    KeyTree::Slot* slot = tree.find(event->key());
    VESPER_ASSERT(slot != nullptr);
    OlderVersions& older = slot->older;
    while (!older.empty() && older.oldest().revision() < event->revision()) {
      spend(older.oldest());
      older.remove_oldest();
    }
    if (event->is_tombstone()) {
      spend(*event);
      if (slot->newest.get() == event.get()) {
        tree.erase(event->key());
        continue;
      }
      VESPER_ASSERT(&older.oldest() == event.get());
      older.remove_oldest();
    }
  }
  return true;
}

// ---- rebuilding and freeing ---------------------------------------------------------------

bool Keyspace::begin_import(std::uint64_t revision, std::uint64_t oldest,
                            std::vector<Burst> bursts) {
  VESPER_ASSERT(log_.empty() && tree().slots() == 0);
  revision_ = revision;
  oldest_ = oldest;
  import_ = std::make_unique<Import>();
  import_->first = std::max<std::uint64_t>(oldest, 2);  // the first write makes revision 2
  const std::uint64_t revisions = revision < import_->first ? 0 : revision - import_->first + 1;
  std::int64_t further = 0;
  std::uint64_t last = import_->first - 1;
  for (const Burst& burst : bursts) {
    const bool leapt = burst.events == 0 && burst.revision == import_->first;
    if (burst.revision <= last || burst.revision > revision || (burst.events < 2 && !leapt) ||
        burst.events > UINT32_MAX || further > static_cast<std::int64_t>(EventLog::kMaxFill))
      return false;
    last = burst.revision;
    import_->before.push_back(further);
    further += static_cast<std::int64_t>(burst.events) - 1;
  }
  if (revisions > EventLog::kMaxFill) return false;
  const std::uint64_t events = revisions + static_cast<std::uint64_t>(further);
  if (events > EventLog::kMaxFill) return false;
  import_->bursts = std::move(bursts);
  log_.begin_fill(events);
  // For now, each holds the sum of what the 64 events after it drop.
  checkpoints_.resize(static_cast<std::size_t>((events + kCheckpointEvery - 1) / kCheckpointEvery));
  return true;
}

// end_of_events() if the place is out of range.
std::uint64_t Keyspace::number_of(const Version& event) const {
  const auto& bursts = import_->bursts;
  const auto at = std::lower_bound(
      bursts.begin(), bursts.end(), event.revision(),
      [](const Burst& burst, std::uint64_t revision) { return burst.revision < revision; });
  const auto earlier = static_cast<std::size_t>(at - bursts.begin());
  const bool bursts_here = at != bursts.end() && at->revision == event.revision();
  if (event.place() == 0 || event.place() > (bursts_here ? at->events : 1)) return log_.end();
  std::int64_t further = 0;
  if (earlier > 0)
    further =
        import_->before[earlier - 1] + static_cast<std::int64_t>(bursts[earlier - 1].events) - 1;
  return event.revision() - import_->first + static_cast<std::uint64_t>(further) + event.place() -
         1;
}

bool Keyspace::add(VersionRef version) {
  if (version->revision() > revision_) return false;
  KeyTree& tree = tree_of(*version);
  const auto later_space = static_cast<std::size_t>(version->space()) + 1;
  for (std::size_t space = later_space; space < kSpaces; ++space)
    if (trees_[space].slots() != 0) return false;
  const KeyTree::Position last = tree.last();
  const Version* before = nullptr;  // the same key's version before this one
  if (!last.at_end()) {
    if (version->key() < last.slot().key()) return false;
    if (version->key() == last.slot().key()) before = last.slot().newest.get();
  }
  if (before != nullptr && before->revision() >= version->revision()) return false;
  const Version* replaced = unless_tombstone(before);
  if (version->is_tombstone() && replaced == nullptr) return false;
  Dropped* checkpoint_of = nullptr;
  if (version->revision() < oldest_) {
    if (before != nullptr || version->is_tombstone()) return false;
  } else {
    const std::uint64_t number = number_of(*version);
    if (!log_.fill(number, version)) return false;
    checkpoint_of = &checkpoints_[static_cast<std::size_t>(number / kCheckpointEvery)];
    ++import_->filled;
  }
  const Dropped dropped = count_live(*version, replaced);
  if (checkpoint_of != nullptr) *checkpoint_of += dropped;
  tree.put(std::move(version));
  return true;
}

bool Keyspace::finish_import() {
  if (import_ == nullptr || import_->filled != log_.end()) return false;
  for (Dropped& checkpoint : checkpoints_) {
    const Dropped sum = std::exchange(checkpoint, total_);
    total_ += sum;
  }
  import_.reset();
  return true;
}

bool Keyspace::retire_some(std::size_t& max, std::size_t& max_bytes) {
  // The log of an import that was given up is not complete.
  for (; max > 0 && !log_.empty(); --max) log_.discard_front();
  checkpoints_.clear();
  if (!temporary_keys_.free_some(max)) return false;
  for (KeyTree& tree : trees_)
    if (!tree.free_some(max, max_bytes)) return false;
  return log_.empty();
}

}  // namespace vesper::kv
