#include "node/range_reads.hpp"

#include <algorithm>
#include <utility>

namespace vesper::node {

std::optional<ReadResult> RangeReads::start(const Ticket& ticket, ReadRange range,
                                            kv::Keyspace& keyspace, ReadResult result,
                                            std::optional<Duration> max_staleness, Instant now) {
  kv::RangeQuery& query = range.query;
  if (query.revision == 0) query.revision = keyspace.revision();
  const auto count =
      range.known_count ? kv::RangeReader::Count::omit : kv::RangeReader::Count::whole_range;
  const std::uint64_t revision = query.revision;
  Read read{ticket,
            &keyspace,
            kv::Keyspace::Pin(keyspace, revision),
            kv::RangeReader(std::move(query), count),
            range.known_count,
            std::move(result),
            max_staleness,
            now};
  if (advance(read, first_visits_)) return std::move(read.result);
  reads_.push_back(std::move(read));
  return std::nullopt;
}

bool RangeReads::advance(Read& read, std::size_t budget) {
  const bool complete = read.reader.run(*read.keyspace, nullptr, budget, kPageBytes);
  if (!complete && budget == 0) return false;
  RangeFound found{read.reader.take(), read.pin.revision()};
  if (read.known_count) found.page.count = *read.known_count;
  read.result.content = std::move(found);
  return true;
}

std::optional<RangeReads::Done> RangeReads::run(Instant now) {
  if (reads_.empty() || !advance(reads_.front(), visits_per_turn_)) return std::nullopt;
  Read read = std::move(reads_.front());
  reads_.pop_front();
  auto& staleness = read.result.staleness;
  if (staleness) staleness = *staleness + (now - read.begun);
  if (read.max_staleness && staleness && *staleness > *read.max_staleness)
    return Done{read.ticket, Refusal::too_stale};
  return Done{read.ticket, std::move(read.result)};
}

void RangeReads::leave(std::uint64_t connection) {
  std::erase_if(reads_, [&](const Read& read) { return read.ticket.connection == connection; });
}

std::vector<Ticket> RangeReads::clear() {
  std::vector<Ticket> tickets;
  for (const Read& read : reads_) tickets.push_back(read.ticket);
  reads_.clear();
  return tickets;
}

}  // namespace vesper::node
