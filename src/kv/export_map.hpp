// An ordered map that can be exported in small pieces while it changes: the export shows it as it
// was at begin_export(). Memory grows with what changes meanwhile, not with the map.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "base/assert.hpp"

namespace vesper::kv {

// Erases up to `max` items from the front, and lowers `max`. Returns true if none is left.
template <typename Items>
bool erase_some(Items& items, std::size_t& max) {
  for (; max > 0 && !items.empty(); --max) items.erase(items.begin());
  return items.empty();
}

template <typename Key, typename Value>
class ExportMap {
 public:
  using Items = std::map<Key, Value>;

  const Items& items() const { return items_; }
  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  // Null if there is none. Valid until the item is removed.
  const Value* find(const Key& key) const {
    const auto item = items_.find(key);
    return item == items_.end() ? nullptr : &item->second;
  }
  // Adds or replaces an item.
  const Value& set(const Key& key, Value value) {
    keep_image(key);
    return items_.insert_or_assign(key, std::move(value)).first->second;
  }
  // Requires that there is one.
  void remove(const Key& key) {
    keep_image(key);
    const std::size_t removed = items_.erase(key);
    VESPER_ASSERT(removed == 1);
  }

  // At most one export may exist at a time.
  void begin_export() {
    VESPER_ASSERT(!exporting_);
    exported_.reset();
    exporting_ = !items_.empty();
    if (exporting_) last_ = items_.rbegin()->first;
  }
  // Calls take(key, value) for the next item. Returns false if there is none.
  template <typename Take>
  bool export_next(const Take& take) {
    while (exporting_) {
      const auto item = exported_ ? items_.upper_bound(*exported_) : items_.begin();
      const auto image = images_.begin();
      if (image != images_.end() && (item == items_.end() || !(item->first < image->first))) {
        auto [key, value] = std::move(*image);
        images_.erase(image);
        exported_ = key;
        if (!value) continue;  // it was added later
        take(key, *value);
        return true;
      }
      if (item == items_.end() || *last_ < item->first) break;
      exported_ = item->first;
      take(item->first, item->second);
      return true;
    }
    end_export();
    return false;
  }
  void end_export() {
    exporting_ = false;
    exported_.reset();
    last_.reset();
    images_.clear();
  }

  // For a map that was discarded: frees up to `max` items, lowers it, and returns true if nothing
  // is left.
  bool free_some(std::size_t& max) { return erase_some(items_, max); }

 private:
  // Keeps the item as it is, unless it was exported or kept already.
  void keep_image(const Key& key) {
    if (!exporting_ || *last_ < key || (exported_ && !(*exported_ < key))) return;
    const auto item = items_.find(key);
    images_.try_emplace(
        key, item == items_.end() ? std::optional<Value>() : std::optional<Value>(item->second));
  }

  Items items_;
  // The export in progress: items up to exported_ were exported, and those up to last_ are to be.
  // images_ has those of them that have changed since; nothing in place of an item that did not
  // exist.
  bool exporting_ = false;
  std::optional<Key> exported_, last_;
  std::map<Key, std::optional<Value>> images_;
};

}  // namespace vesper::kv
