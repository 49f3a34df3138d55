// Reads of ranges that take more than one turn: pages at an old revision of a large range, for
// example. Each has a pin, so that writes may go on meanwhile, and a turn works on one of them for
// a bounded number of steps.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "kv/range_reader.hpp"
#include "node/ports.hpp"

namespace vesper::node {

class RangeReads {
 public:
  // Bytes of keys and values in one page.
  static constexpr std::size_t kPageBytes = 8u << 20;

  // Limits on the keys that the first turn of a read may visit, and that a later turn may visit.
  RangeReads(std::size_t first_visits, std::size_t visits_per_turn)
      : first_visits_(first_visits), visits_per_turn_(visits_per_turn) {}

  struct Done {
    Ticket ticket;
    ClientReply reply;
  };

  // Starts a read at `result.revision` or at the query's own revision, which must be readable.
  // Returns the result if the first step completes it; otherwise keeps the read for run().
  // `max_staleness`: what the client accepts when it gets the result.
  std::optional<ReadResult> start(const Ticket& ticket, ReadRange range, kv::Keyspace& keyspace,
                                  ReadResult result, std::optional<Duration> max_staleness,
                                  Instant now);
  // Works on the oldest read. Returns its reply once it is complete. A stale result has aged
  // meanwhile.
  std::optional<Done> run(Instant now);
  bool is_idle() const { return reads_.empty(); }
  std::size_t size() const { return reads_.size(); }

  // The connection has closed: forgets its reads.
  void leave(std::uint64_t connection);
  // Forgets all reads and returns their tickets.
  std::vector<Ticket> clear();

 private:
  struct Read {
    Ticket ticket;
    kv::Keyspace* keyspace;  // never null
    kv::Keyspace::Pin pin;
    kv::RangeReader reader;
    std::optional<std::uint64_t> known_count;
    ReadResult result;
    std::optional<Duration> max_staleness;
    Instant begun;
  };
  static bool advance(Read& read, std::size_t budget);

  const std::size_t first_visits_, visits_per_turn_;
  std::deque<Read> reads_;
};

}  // namespace vesper::node
