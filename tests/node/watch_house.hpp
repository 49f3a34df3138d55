// A keyspace and the watches of a node without Raft, for the tests of watches and their streams.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/overloaded.hpp"
#include "keyspaces.hpp"
#include "node/watches.hpp"

namespace vesper::test {

using namespace vesper::node;

struct Woken final : Clients {
  std::multiset<std::uint64_t> connections;
  void reply(const Ticket&, ClientReply) override { FAIL("no reply is expected"); }
  void wake(const Ticket& ticket) override { connections.insert(ticket.connection); }
};

// A node without Raft: a keyspace and its watches.
struct House {
  Instant now{seconds(100).ns};
  Woken woken;
  RangeWaits waits;
  std::unique_ptr<kv::Keyspace> keyspace = std::make_unique<kv::Keyspace>();
  Watches watches;

  explicit House(std::size_t max_streams = 100) : watches(waits, max_streams) {
    watches.set_store(*keyspace);
  }
  void commit(const std::vector<Write>& writes) {
    std::uint64_t at = keyspace->end_of_events();
    test::commit(*keyspace, writes);
    tell(at);
  }
  void commit_some(Prng& prng) {
    const std::uint64_t at = keyspace->end_of_events();
    test::commit_some(*keyspace, prng);
    tell(at);
  }
  void tell(std::uint64_t at) {
    for (; at < keyspace->end_of_events(); ++at) waits.tell(*keyspace->event(at));
  }
  std::multiset<std::uint64_t> end_turn() {
    woken.connections.clear();
    watches.end_turn(raft::Index(1), woken, now);
    return woken.connections;
  }
  std::unique_ptr<WatchStream> open(WatchRequest request, std::uint64_t connection = 1) {
    return watches.open(Ticket{connection, 1}, std::move(request), now);
  }
  // Replaces the store by a copy of its present state that knows no history.
  void install() {
    auto copy = std::make_unique<kv::Keyspace>();
    REQUIRE(copy->begin_import(keyspace->revision(), keyspace->revision(), last_burst()));
    for (std::size_t space = 0; space < kv::kSpaces; ++space)
      for (auto at = keyspace->tree(static_cast<kv::Space>(space)).first(); !at.at_end();
           at.next()) {
        const kv::OlderVersions& older = at.slot().older;
        const kv::Version& newest = *at.slot().newest;
        if (newest.revision() == keyspace->revision() && !older.empty() &&
            !older.newest().is_tombstone())
          REQUIRE(copy->add(kv::VersionRef(&older.newest())));
        if (newest.revision() == keyspace->revision() || !newest.is_tombstone())
          REQUIRE(copy->add(kv::VersionRef(&newest)));
      }
    REQUIRE(copy->finish_import());
    const std::uint64_t revision = keyspace->revision();
    std::swap(copy, keyspace);
    watches.set_store(*keyspace, revision);
  }
  std::vector<kv::Keyspace::Burst> last_burst() const {
    const std::uint64_t events =
        keyspace->end_of_events() - keyspace->find_event(keyspace->revision());
    if (events < 2) return {};
    return {{keyspace->revision(), events}};
  }
};

inline WatchRequest request(WatchFilter filter, std::optional<WatchId> since = {}) {
  return {.filter = std::move(filter), .since = since};
}

inline WatchFilter everything() {
  return {{{kv::Space::keys, kv::KeyRange::all()},
           {kv::Space::locks, kv::KeyRange::all()},
           {kv::Space::elections, kv::KeyRange::all()}},
          WatchFilter::Kinds::all};
}

inline WatchFilter of_key(const std::string& key) {
  return {{{kv::Space::keys, kv::KeyRange::of_key(key)}}, WatchFilter::Kinds::all};
}

inline std::string id_of(const WatchEvent& event) {
  const std::string revision = std::to_string(event.version->revision());
  return event.more ? revision + "." + std::to_string(event.version->place()) : revision;
}

inline std::string text_of(const WatchItem& item) {
  const Overloaded text{
      [](const WatchEvent& event) {
        return (event.version->is_tombstone() ? "-" : "+") + std::string(event.version->key()) +
               "@" + id_of(event);
      },
      [](const WatchState& state) { return "=" + std::string(state.version->key()); },
      [](const WatchMark& mark) {
        constexpr const char* names[] = {"reset", "synced", "stale", "fresh", "progress", "alive"};
        return names[static_cast<std::size_t>(mark.kind)] + std::string("@") +
               std::to_string(mark.revision);
      },
      [](const WatchClosed& closed) {
        return std::string(closed.why == WatchClosed::Why::too_slow ? "too_slow" : "diverged");
      },
  };
  return std::visit(text, item);
}

// Everything that the stream yields until it waits or ends, with the number of the watch unless
// that is 0.
inline std::string pull(House& house, WatchStream& stream, std::size_t budget_each = 1000) {
  std::string text;
  for (int calls = 0; calls < 100'000; ++calls) {
    std::size_t budget = budget_each;
    WatchOutput out;
    const WatchStream::Next next = stream.next(house.now, budget, out);
    if (next == WatchStream::Next::waiting) return text;
    if (next == WatchStream::Next::finished) return text + " end";
    if (next == WatchStream::Next::later) continue;
    text += text.empty() ? "" : " ";
    if (out.watch.value_or(0) != 0) text += std::to_string(*out.watch) + ":";
    text += text_of(out.item);
  }
  FAIL("endless");
  return text;
}

}  // namespace vesper::test
