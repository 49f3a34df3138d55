// As plain as can be: every version of every key, and every event, for good. What the keyspace is
// compared with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kv/digest.hpp"
#include "kv/keyspace.hpp"
#include "kv/operation.hpp"

namespace vesper::test {

struct ModelVersion {
  std::string key, value;
  kv::VersionFields fields;

  kv::VersionRef make() const { return kv::Version::make(key, std::string_view(value), fields); }
  bool is(const kv::Version* version) const {
    if (version == nullptr) return false;
    const kv::VersionFields have = version->fields();
    return version->key() == key && version->value() == value && have.revision == fields.revision &&
           have.create_revision == fields.create_revision && have.version == fields.version &&
           have.lease == fields.lease && have.place == fields.place && have.json == fields.json &&
           have.tombstone == fields.tombstone;
  }
  std::uint64_t cost() const { return kv::Version::kFixedCost + key.size() + value.size(); }
};

inline bool same(const ModelVersion* expected, const kv::Version* got) {
  return expected == nullptr ? got == nullptr : expected->is(got);
}

struct Model {
  std::uint64_t revision = 1, oldest = 1;
  std::map<std::string, std::vector<ModelVersion>> keys;
  std::vector<ModelVersion> events;
  std::vector<ModelVersion> pending;  // of the transaction in progress

  // Null: no such key then.
  const ModelVersion* find(const std::string& key, std::uint64_t at) const {
    const auto found = keys.find(key);
    if (found == keys.end()) return nullptr;
    const ModelVersion* last = nullptr;
    for (const ModelVersion& version : found->second)
      if (version.fields.revision <= at) last = &version;
    return last == nullptr || last->fields.tombstone ? nullptr : last;
  }
  const ModelVersion* find(const std::string& key) const { return find(key, UINT64_MAX); }

  void write(const std::string& key, std::string value, bool json, std::uint64_t lease) {
    const ModelVersion* present = find(key);
    kv::VersionFields fields;
    fields.revision = revision + 1;
    fields.create_revision = present ? present->fields.create_revision : fields.revision;
    fields.version = present ? present->fields.version + 1 : 1;
    fields.json = json;
    fields.lease = lease;
    add({key, std::move(value), fields});
  }
  // False if there is no such key.
  bool remove(const std::string& key) {
    if (find(key) == nullptr) return false;
    kv::VersionFields fields;
    fields.revision = revision + 1;
    fields.tombstone = true;
    add({key, {}, fields});
    return true;
  }
  void add(ModelVersion version) {
    version.fields.place = static_cast<std::uint32_t>(pending.size() + 1);
    keys[version.key].push_back(version);
    pending.push_back(std::move(version));
  }
  // Ends the transaction. Returns its versions.
  std::vector<ModelVersion> commit() {
    if (!pending.empty()) ++revision;
    events.insert(events.end(), pending.begin(), pending.end());
    return std::exchange(pending, {});
  }

  // Calls visit(version, is_live) for each version that stays after a compaction to `floor`.
  template <typename Visit>
  void for_each_kept(std::uint64_t floor, Visit&& visit) const {
    for (const auto& [key, versions] : keys)
      for (std::size_t i = 0; i < versions.size(); ++i) {
        const kv::VersionFields& fields = versions[i].fields;
        const bool newest = i + 1 == versions.size();
        const bool keeps = newest || versions[i + 1].fields.revision >= floor;
        if (fields.revision >= floor || (!fields.tombstone && keeps))
          visit(versions[i], newest && !fields.tombstone);
      }
  }
  Id128 digest() const {
    Id128 sum;
    for_each_kept(oldest, [&](const ModelVersion& version, bool) {
      sum = kv::plus(sum, version.make()->digest());
    });
    return sum;
  }
  std::uint64_t live_cost() const {
    std::uint64_t sum = 0;
    for_each_kept(oldest, [&](const ModelVersion& v, bool live) { sum += live ? v.cost() : 0; });
    return sum;
  }
  std::uint64_t history_cost(std::uint64_t floor) const {
    std::uint64_t sum = 0;
    for_each_kept(floor, [&](const ModelVersion& v, bool live) { sum += live ? 0 : v.cost(); });
    return sum;
  }
  std::uint64_t revision_for_history(std::uint64_t max_cost) const {
    for (std::uint64_t floor = oldest; floor < revision; ++floor)
      if (history_cost(floor) <= max_cost) return floor;
    return revision;
  }
  // The live keys of a range at a revision, in order.
  std::vector<const ModelVersion*> range(const kv::KeyRange& range, std::uint64_t at) const {
    std::vector<const ModelVersion*> found;
    for (const auto& [key, versions] : keys)
      if (range.contains(key))
        if (const ModelVersion* version = find(key, at)) found.push_back(version);
    return found;
  }
  // Newest first; what Keyspace::history() promises.
  std::vector<const ModelVersion*> history(const std::string& key) const {
    std::vector<const ModelVersion*> found;
    const auto at = keys.find(key);
    if (at == keys.end()) return found;
    for (const ModelVersion& version : at->second)
      if (version.fields.revision >= oldest) found.push_back(&version);
    const ModelVersion* base = find(key, oldest);
    if (base != nullptr && base->fields.revision < oldest) found.insert(found.begin(), base);
    std::reverse(found.begin(), found.end());
    return found;
  }
};

inline std::string show(std::string_view key, std::string_view value, std::uint64_t revision) {
  return std::string(key) + "=" + std::string(value) + "@" + std::to_string(revision);
}

// What the query finds without its limit, in one sequence of keys and prefixes.
inline std::vector<std::pair<bool, std::string>> sequence_of(
    const kv::RangeQuery& query, std::vector<const ModelVersion*> versions) {
  if (query.order == kv::Order::descending) std::reverse(versions.begin(), versions.end());
  std::vector<std::pair<bool, std::string>> items;  // whether it is a prefix
  if (query.content == kv::Content::count) return items;
  for (const ModelVersion* version : versions) {
    const std::size_t at = query.separator.empty() || version->key.size() < query.prefix_size
                               ? std::string::npos
                               : version->key.find(query.separator, query.prefix_size);
    if (at == std::string::npos) {
      items.emplace_back(false, show(version->key, version->value, version->fields.revision));
      continue;
    }
    const std::pair prefix(true, version->key.substr(0, at + query.separator.size()));
    if (items.empty() || items.back() != prefix) items.push_back(prefix);
  }
  return items;
}

}  // namespace vesper::test
