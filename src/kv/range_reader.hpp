// Reads a range at one revision, in steps of bounded work. One reader serves a page of results, a
// stream of any size, and a range inside a transaction that has already written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "kv/keyspace.hpp"
#include "kv/operation.hpp"
#include "kv/write_result.hpp"

namespace vesper::kv {

// What a transaction has written so far, by key. The keys are those of the versions.
using Overlay = std::map<std::string_view, VersionRef, std::less<>>;

class RangeReader {
 public:
  // Whether the result counts the keys of the whole range (O(log n) at the present revision, else a
  // walk over it).
  enum class Count : std::uint8_t { whole_range, omit };
  // Which keys the budget pays for, apart from those found. `all_keys`: all that are visited, so
  // that the time is bounded. `kept_keys`: not the keys that compaction has dropped, which this
  // node may have trimmed or not, so that all nodes need the same budget.
  enum class Visits : std::uint8_t { all_keys, kept_keys };

  // `query.revision` must be set, readable, and pinned by the caller for as long as it reads in
  // several steps.
  RangeReader(RangeQuery query, Count count, Visits visits = Visits::all_keys);

  // Continues. Visits at most `budget` keys (one more at the limit) and lowers it by what it
  // visited. Stops also when it finds a key once the result holds `max_bytes` of keys and values.
  // Returns true once the result is complete: the range or the limit was reached. `overlay` may be
  // null; if not, the query's revision must be the present one.
  bool run(const Keyspace& keyspace, const Overlay* overlay, std::size_t& budget,
           std::size_t max_bytes);

  // The result so far. Ends the page: sets `more` and `resume` if the range is not exhausted.
  RangeResult take();
  const RangeQuery& query() const { return query_; }
  std::size_t bytes() const { return bytes_; }  // of keys and values in the result so far

 private:
  bool count_some(const Keyspace& keyspace, const Overlay* overlay, std::size_t& budget);
  bool scan(const Keyspace& keyspace, const Overlay* overlay, std::size_t& budget,
            std::size_t max_bytes);
  void take_key(const Version& version);

  RangeQuery query_;
  Visits visits_;
  KeyRange left_;  // what is not yet read
  KeyRange uncounted_;
  bool counted_;
  bool exhausted_ = false;
  std::size_t taken_ = 0;  // keys and prefixes so far, over all take()s
  std::size_t bytes_ = 0;  // in result_
  RangeResult result_;
};

// A reader with its pin, for a stream that is read while writes go on. The keyspace must outlive
// it.
class RangeStream {
 public:
  RangeStream(Keyspace& keyspace, RangeQuery query)
      : keyspace_(keyspace),
        pin_(keyspace, query.revision),
        reader_(std::move(query), RangeReader::Count::omit) {}

  // The next keys: about `max_bytes` of them, after at most `budget` visits. Sets `done` at the
  // end.
  RangeResult next(std::size_t budget, std::size_t max_bytes, bool& done) {
    done = reader_.run(keyspace_, nullptr, budget, max_bytes);
    return reader_.take();
  }
  std::uint64_t revision() const { return pin_.revision(); }

 private:
  Keyspace& keyspace_;
  Keyspace::Pin pin_;
  RangeReader reader_;
};

}  // namespace vesper::kv
