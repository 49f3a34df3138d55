#include "kv/range_reader.hpp"

#include <algorithm>
#include <utility>

namespace vesper::kv {
namespace {

// Walks the tree and the overlay together in key order. Where both have a key, the overlay wins.
class Walk {
 public:
  Walk(const Keyspace& keyspace, const Overlay* overlay, const RangeQuery& query, Order order,
       RangeReader::Visits visits)
      : keyspace_(keyspace),
        overlay_(overlay),
        space_(query.space),
        revision_(query.revision),
        present_(query.revision >= keyspace.revision()),
        ascending_(order == Order::ascending),
        passes_trimmable_(visits == RangeReader::Visits::kept_keys) {}

  // Goes to the first key of the range in the walk's order.
  void seek(const KeyRange& range) {
    const KeyTree& tree = keyspace_.tree(space_);
    if (present_) at_ = ascending_ ? tree.first_live(range) : tree.last_live(range);
    else if (ascending_) at_ = tree.lower_bound(range.start);
    else at_ = range.is_to_the_end() ? tree.last() : tree.below(range.end);
    if (overlay_ == nullptr) return;
    if (ascending_) over_ = overlay_->lower_bound(std::string_view(range.start));
    else
      over_ = range.is_to_the_end() ? overlay_->end()
                                    : overlay_->lower_bound(std::string_view(range.end));
  }

  // The next key that exists, within the budget. `out` is null at the end. False if the budget ran
  // out; `passed` then names the last key that was visited, if any.
  bool next(const KeyRange& range, std::size_t& budget, const Version*& out,
            std::string_view& passed) {
    out = nullptr;
    for (;;) {
      const KeyTree::Slot* slot = at_.at_end() ? nullptr : &at_.slot();
      if (slot != nullptr && !range.contains(slot->key())) slot = nullptr;
      const VersionRef* over = overlay_at();
      if (over != nullptr && !range.contains((*over)->key())) over = nullptr;
      if (slot == nullptr && over == nullptr) return true;
      if (slot != nullptr && passes_trimmable_ && is_trimmable(*slot)) {
        step_tree();
        continue;
      }
      if (budget == 0) return false;
      --budget;
      const bool both = slot != nullptr && over != nullptr && slot->key() == (*over)->key();
      const bool from_tree = over == nullptr || (slot != nullptr && !both &&
                                                 (slot->key() < (*over)->key()) == ascending_);
      const Version* version = unless_tombstone(from_tree ? slot->at(revision_) : over->get());
      passed = from_tree ? slot->key() : (*over)->key();
      if (from_tree || both) step_tree();
      if (!from_tree) step_overlay();
      if (version == nullptr) continue;
      out = version;
      return true;
    }
  }

 private:
  const VersionRef* overlay_at() const {
    if (overlay_ == nullptr) return nullptr;
    if (ascending_) return over_ == overlay_->end() ? nullptr : &over_->second;
    return over_ == overlay_->begin() ? nullptr : &std::prev(over_)->second;
  }
  void step_overlay() {
    if (ascending_) ++over_;
    else --over_;
  }
  // At the present revision, deleted keys are passed by.
  void step_tree() {
    if (present_) {
      if (ascending_) keyspace_.tree(space_).to_next_live(at_);
      else keyspace_.tree(space_).to_previous_live(at_);
    } else if (ascending_) {
      at_.next();
    } else {
      at_.previous();
    }
  }
  // Whether compaction has dropped the key altogether. Then this node may or may not have trimmed
  // it yet.
  bool is_trimmable(const KeyTree::Slot& slot) const {
    return !slot.is_live() && slot.newest->revision() < keyspace_.oldest_revision();
  }

  const Keyspace& keyspace_;
  const Overlay* overlay_;
  Space space_;
  std::uint64_t revision_;
  bool present_, ascending_, passes_trimmable_;
  KeyTree::Position at_;
  Overlay::const_iterator over_;
};

// What is left of a range after `key` was visited.
void shrink_past(KeyRange& range, std::string_view key, Order order) {
  if (order == Order::ascending) {
    range.start.assign(key);
    range.start.push_back('\0');
  } else {
    range.end.assign(key);
  }
}

}  // namespace

RangeReader::RangeReader(RangeQuery query, Count count, Visits visits)
    : query_(std::move(query)),
      visits_(visits),
      left_(query_.range),
      uncounted_(query_.range),
      counted_(count == Count::omit),
      exhausted_(query_.content == Content::count) {
  result_.content = query_.content;
}

bool RangeReader::run(const Keyspace& keyspace, const Overlay* overlay, std::size_t& budget,
                      std::size_t max_bytes) {
  VESPER_ASSERT(query_.revision > 0);
  if (!counted_ && !count_some(keyspace, overlay, budget)) return false;
  if (exhausted_ || result_.more) return true;
  return scan(keyspace, overlay, budget, max_bytes);
}

// Counting the keys at the present revision needs no walk. The transaction's own writes are few, so
// that they are looked up one by one.
bool RangeReader::count_some(const Keyspace& keyspace, const Overlay* overlay,
                             std::size_t& budget) {
  if (query_.revision >= keyspace.revision() && uncounted_ == query_.range) {
    result_.count = keyspace.count(query_.range, query_.space);
    if (overlay != nullptr) {
      auto at = overlay->lower_bound(std::string_view(query_.range.start));
      for (; at != overlay->end() && query_.range.contains(at->first); ++at) {
        if (budget == 0) return result_.count = 0, false;
        --budget;
        const bool existed = keyspace.find(at->first) != nullptr;
        const bool exists = !at->second->is_tombstone();
        if (exists && !existed) ++result_.count;
        if (!exists && existed) --result_.count;
      }
    }
    counted_ = true;
    return true;
  }
  Walk walk(keyspace, nullptr, query_, Order::ascending, visits_);
  walk.seek(uncounted_);
  const Version* version = nullptr;
  std::string_view passed;
  while (walk.next(uncounted_, budget, version, passed)) {
    if (version == nullptr) return counted_ = true;
    ++result_.count;
  }
  if (!passed.empty()) shrink_past(uncounted_, passed, Order::ascending);
  return false;
}

bool RangeReader::scan(const Keyspace& keyspace, const Overlay* overlay, std::size_t& budget,
                       std::size_t max_bytes) {
  Walk walk(keyspace, overlay, query_, query_.order, visits_);
  walk.seek(left_);
  const Version* version = nullptr;
  const bool folds = !query_.separator.empty();
  // The position after what was taken is written down only when the walk ends or jumps.
  std::string_view last;
  const auto remember = [&] {
    if (!last.empty()) shrink_past(left_, last, query_.order);
    last = {};
  };
  for (;;) {
    std::string_view visited;
    const bool at_limit = query_.limit != 0 && taken_ == query_.limit;
    // Whether the range goes on after the limit must be known even if the limit has used up the
    // budget.
    std::size_t one_more = 1;
    if (!walk.next(left_, at_limit && budget == 0 ? one_more : budget, version, visited)) {
      if (!visited.empty()) last = visited;
      return remember(), false;
    }
    if (version == nullptr) return exhausted_ = true;
    if (bytes_ >= max_bytes && !at_limit) return remember(), false;
    const std::string_view key = version->key();
    if (at_limit) {
      remember();
      result_.more = true;
      result_.resume = query_.order == Order::ascending ? left_.start : left_.end;
      return true;
    }
    const std::size_t separator =
        folds ? key.find(query_.separator, query_.prefix_size) : std::string_view::npos;
    ++taken_;
    if (separator == std::string_view::npos) {
      take_key(*version);
      last = key;
      continue;
    }
    std::string prefix(key.substr(0, separator + query_.separator.size()));
    bytes_ += prefix.size();
    last = {};
    if (query_.order == Order::ascending) {
      left_.start = KeyRange::end_of_prefix(prefix);
      if (left_.start.empty()) exhausted_ = true;  // no key can follow this prefix
    } else {
      left_.end = prefix;
    }
    result_.prefixes.push_back(std::move(prefix));
    if (exhausted_ || left_.is_empty()) return exhausted_ = true;
    walk.seek(left_);
  }
}

void RangeReader::take_key(const Version& version) {
  bytes_ += version.key().size();
  if (query_.content == Content::values) bytes_ += version.value().size();
  result_.kvs.emplace_back(&version);
}

RangeResult RangeReader::take() {
  if (!exhausted_ && !result_.more && counted_) {
    result_.more = true;
    result_.resume = query_.order == Order::ascending ? left_.start : left_.end;
  }
  bytes_ = 0;
  RangeResult taken = std::move(result_);
  result_ = RangeResult();
  result_.content = query_.content;
  result_.count = taken.count;
  return taken;
}

}  // namespace vesper::kv
