// Traces that are read, given up and read again elsewhere, over all faults. No one else makes a
// server send a message for them.
#include "sim/viewer.hpp"

#include <fmt/core.h>

#include "base/overloaded.hpp"
#include "sim/world.hpp"

namespace vesper::sim {

// ---- Viewer -------------------------------------------------------------------------------

void Viewer::begin(std::uint64_t seed) {
  random = Prng(seed);
  exists_ = random.between(1, 100) <= 25;
}

void Viewer::open(std::size_t place, std::unique_ptr<node::TraceViewer> stream) {
  place_ = place;
  stream_ = std::move(stream);
  seen_.clear();
}

void Viewer::close() {
  stream_.reset();
}

std::optional<node::TraceItem> Viewer::next(raft::NodeId self, Violation& wrong) {
  auto item = stream_->next();
  if (item) wrong = check(*item, self);
  return item;
}

Violation Viewer::check(const node::TraceItem& item, raft::NodeId self) {
  Seen& seen = seen_[item.node];
  const auto fail = [&](const std::string& what) {
    return Violation(fmt::format("V3: the trace of node {}: {}", item.node.value, what));
  };
  const Overloaded judge{
      [&](const node::TraceState& e) -> Violation {
        seen = {true, e.term, e.last_index};
        if (e.commit_index > e.last_index) return fail("more is committed than there is");
        return {};
      },
      [&](const node::TraceSilent&) -> Violation {
        seen = {};
        return {};
      },
      [&](const node::TraceDropped&) -> Violation {
        // The server itself has dropped what this viewer did not read: events of all.
        if (item.node == self) seen_.clear();
        else seen = {};
        return {};
      },
      [&](const node::TraceRole& e) -> Violation {
        if (e.term < seen.term) return fail("its term falls");
        seen.term = e.term;
        return {};
      },
      [&](const node::TraceAppend& e) -> Violation {
        if (e.entries.from != seen.last_index.next()) return fail("entries are missing");
        seen.last_index = e.entries.to;
        return {};
      },
      [&](const node::TraceTruncate& e) -> Violation {
        if (e.from.value == 0 || e.from > seen.last_index)
          return fail("it cuts off what is not there");
        seen.last_index = raft::Index(e.from.value - 1);
        return {};
      },
      [&](const node::TraceCommit& e) -> Violation {
        if (e.index > seen.last_index) return fail("it commits what is not there");
        return {};
      },
      [](const auto&) -> Violation { return {}; },
  };
  const bool is_beginning = std::holds_alternative<node::TraceState>(item.event) ||
                            std::holds_alternative<node::TraceSilent>(item.event) ||
                            std::holds_alternative<node::TraceDropped>(item.event);
  if (!seen.has_state && !is_beginning) return fail("it does not begin with a state");
  return std::visit(judge, item.event);
}

// ---- World --------------------------------------------------------------------------------

void World::view_on() {
  Prng& random = viewer_.random;
  const auto again = [&](Duration most) {
    after(between(random, {}, most), WatchOn{Viewer::kNumber});
  };
  if (!viewer_.is_open()) {
    Host& h = host(
        static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(hosts_.size()) - 1)));
    again(milliseconds(60));
    if (!h.serves() || h.stopping) return;
    viewer_.open(h.number(), h.node->traces().open({Viewer::kConnection, 1, 0}));
    if (viewer_.is_open()) tally_.count(Count::traces_opened);
    return schedule_turn(h);
  }
  if (faulty_ && one_in(random, 100)) {
    viewer_.close();
    return again(seconds(chance(random, 50) ? 5 : 1));
  }
  again(milliseconds(faulty_ && one_in(random, 50) ? 2'000 : 100));
  if (host(viewer_.place()).paused) return;
  const raft::Raft& raft = host(viewer_.place()).node->raft();
  Violation wrong;
  for (auto items = random.between(1, 300); items > 0 && !wrong; --items) {
    const auto item = viewer_.next(node::node_of(raft, raft.self()), wrong);
    if (!item) break;
    tally_.count(Count::trace_events);
    if (std::holds_alternative<node::TraceSilent>(item->event)) tally_.count(Count::trace_silences);
    if (std::holds_alternative<node::TraceDropped>(item->event)) tally_.count(Count::trace_gaps);
  }
  check(wrong);
}

// V3: no server asks for a trace that no one reads, and without a viewer no server sends one.
void World::observe_trace(const Host& from, const node::PeerMessage& message) {
  if (std::holds_alternative<node::TraceAsked>(message) && !viewer_.is_at(from.number()))
    fail("V3: a server asks for a trace that no one reads");
  if (std::holds_alternative<node::TraceHeard>(message) && !viewer_.exists())
    fail("V3: a server sends a trace that no one reads");
}

}  // namespace vesper::sim
