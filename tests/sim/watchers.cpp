// Watches that are read in pieces, over crashes, elections, compactions and installs: a client that
// is cut off goes on at any server with the last id that it got. What it saw must be exactly the
// log from its beginning on (V1), and it must be woken for what it has not seen (V2).
#include <algorithm>

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

using Mark = node::WatchMark::Kind;

constexpr std::size_t kWatchers = 2;
// Tickets of watches, apart from those of clients.
constexpr std::uint64_t kFirstConnection = std::uint64_t{1} << 48;

}  // namespace

void World::begin_watches() {
  for (std::size_t n = 0; n < kWatchers; ++n) {
    Watcher& watcher = watchers_.emplace_back();
    watcher.random = Prng(options_.seed * 64 + 40 + n);
    Prng& random = watcher.random;
    for (auto left = chance(random, 50) ? 1 : random.between(2, 3); left > 0; --left) {
      Watching& watching = watcher.watches.emplace_back();
      watching.space =
          chance(random, 75) ? Space::keys : (chance(random, 50) ? Space::locks : Space::elections);
      if (chance(random, 30)) watching.spans = {Span::of_key("k1"), Span{"k3", "k6"}};
      else watching.spans = {Span{}};
      if (chance(random, 20))
        watching.kinds = chance(random, 50) ? Watching::Kinds::puts : Watching::Kinds::deletes;
      watching.prev = chance(random, 30);
      watching.begins_with_state = chance(random, 30);
    }
    after(between(random, {}, seconds(1)), WatchOn{n});
  }
  viewer_.begin(options_.seed * 64 + 50);
  if (viewer_.exists()) after(between(viewer_.random, {}, seconds(1)), WatchOn{Viewer::kNumber});
}

bool World::Watching::covers(std::string_view key) const {
  return std::any_of(spans.begin(), spans.end(),
                     [&](const Span& span) { return span.contains(key); });
}

bool World::passes(const Watching& watching, const Model::Event& event) const {
  if (event.space != watching.space || !watching.covers(event.key)) return false;
  if (watching.kinds == Watching::Kinds::all) return true;
  const bool is_put = history_.model().at(event.space, event.key, event.revision).present;
  return is_put == (watching.kinds == Watching::Kinds::puts);
}

// The first event from watching.next on that the watch has to get.
std::size_t World::next_event_of(const Watching& watching) const {
  const auto& events = history_.model().events();
  std::size_t next = watching.next;
  while (next < events.size() && !passes(watching, events[next])) ++next;
  return next;
}

// The client has seen everything up to this revision.
void World::watched_up_to(Watching& watching, std::uint64_t revision) {
  watching.id = node::WatchId{revision, 0};
  const auto& events = history_.model().events();
  watching.next = static_cast<std::size_t>(
      std::partition_point(events.begin(), events.end(),
                           [&](const Model::Event& event) { return event.revision <= revision; }) -
      events.begin());
}

void World::open_watches(Watcher& watcher, std::size_t n) {
  std::vector<std::size_t> up;
  for (const auto& h : hosts_)
    if (h->serves() && !h->stopping && (faulty_ || !h->outside)) up.push_back(h->number());
  if (up.empty()) return;
  watcher.host = up[static_cast<std::size_t>(
      watcher.random.between(0, static_cast<std::int64_t>(up.size()) - 1))];
  Host& h = host(watcher.host);
  watcher.waits = watcher.stale = false;
  watcher.stream = h.node->watches().open({kFirstConnection + n, 1, 0}, h.clock.read(now_));
  for (std::size_t number = 0; number < watcher.watches.size(); ++number)
    add_watch(watcher, number);
}

void World::add_watch(Watcher& watcher, std::size_t number) {
  Watching& watching = watcher.watches[number];
  std::vector<node::SpaceRange> ranges;
  for (const Span& span : watching.spans)
    ranges.push_back({static_cast<kv::Space>(watching.space), {span.start, span.end}});
  using NodeKinds = node::WatchFilter::Kinds;
  const NodeKinds kinds = watching.kinds == Watching::Kinds::all    ? NodeKinds::all
                          : watching.kinds == Watching::Kinds::puts ? NodeKinds::puts
                                                                    : NodeKinds::deletes;
  node::WatchRequest request{node::WatchFilter(std::move(ranges), kinds)};
  if (watching.prev) request.prev = kv::Prev::include;
  if (watching.id) request.since = watching.id;
  else if (watching.begins_with_state) request.begin = node::WatchRequest::Begin::with_state;
  watching.reads_state = !watching.id && watching.begins_with_state;
  watching.state.clear();
  watching.in_stream = watcher.stream->add(number, std::move(request));
  if (!watching.in_stream) return;  // there are as many as allowed
  tally_.count(Count::watches_opened);
  if (watching.id) tally_.count(Count::watches_resumed);
  // A watch begins when its stream is asked next: it has nothing to wait for before.
  watcher.waits = false;
  schedule_turn(host(watcher.host));
}

// Watches are removed, and added again, which go on where they were. In the calm all are there.
void World::change_watches(Watcher& watcher) {
  Prng& random = watcher.random;
  for (std::size_t number = 0; number < watcher.watches.size(); ++number) {
    Watching& watching = watcher.watches[number];
    if (!watching.in_stream) {
      if (!faulty_ || chance(random, 30)) add_watch(watcher, number);
    } else if (faulty_ && one_in(random, 60)) {
      if (!watcher.stream->remove(number)) fail("V1: a watch is missing");
      watching.in_stream = false;
    }
  }
  if (chance(random, 5)) {
    watcher.stream->ask_progress();
    watcher.waits = false;
  }
}

void World::cut_off(Watcher& watcher) {
  watcher.stream.reset();
  for (Watching& watching : watcher.watches) watching.in_stream = false;
}

void World::watch_on(const WatchOn& on) {
  if (on.watcher == Viewer::kNumber) return view_on();
  Watcher& watcher = watchers_[on.watcher];
  const bool dawdles = faulty_ && chance(watcher.random, 10);
  after(between(watcher.random, {}, milliseconds(dawdles ? 900 : 30)), WatchOn{on.watcher});
  if (watcher.stream == nullptr) return open_watches(watcher, on.watcher);
  Host& h = host(watcher.host);
  if (!h.paused) change_watches(watcher);
  if (h.paused || watcher.waits) {
    if (faulty_ && one_in(watcher.random, 200)) cut_off(watcher);
    return;
  }
  const Instant local = h.clock.read(now_);
  auto budget = static_cast<std::size_t>(watcher.random.between(1, 100));
  for (std::int64_t items = watcher.random.between(1, 30); items > 0 && !failure_; --items) {
    node::WatchOutput output;
    switch (watcher.stream->next(local, budget, output)) {
      case node::WatchStream::Next::item: on_watch_output(watcher, output); break;
      case node::WatchStream::Next::later: items = 0; break;
      case node::WatchStream::Next::waiting:
        watcher.waits = true;
        schedule_turn(h);  // the node may have learned something for its next turn
        return;
      case node::WatchStream::Next::finished: cut_off(watcher); return;
    }
  }
}

void World::on_watch_output(Watcher& watcher, const node::WatchOutput& output) {
  if (output.watch) {
    Watching& watching = watcher.watches.at(static_cast<std::size_t>(*output.watch));
    if (!watching.in_stream) return fail("V1: a watch that was removed sends an item");
    if (std::holds_alternative<node::WatchClosed>(output.item)) watching.in_stream = false;
    return on_watch_item(watching, output.item);
  }
  const auto* mark = std::get_if<node::WatchMark>(&output.item);
  if (mark == nullptr) return;  // the server has diverged
  switch (mark->kind) {
    case Mark::alive: return;
    case Mark::stale:
    case Mark::fresh:
      if (watcher.stale == (mark->kind == Mark::stale))
        fail("V1: a watch is told twice that it is stale, or fresh");
      watcher.stale = mark->kind == Mark::stale;
      if (watcher.stale) tally_.count(Count::watches_stale);
      return;
    case Mark::progress: {
      std::uint64_t least = UINT64_MAX;
      for (Watching& watching : watcher.watches) {
        if (!watching.in_stream) continue;
        if (!watching.id || watching.reads_state || watching.id->part != 0)
          return fail("V1: the progress of a stream in which a watch has not come so far");
        least = std::min(least, watching.id->revision);
        on_watch_progress(watching, std::max(mark->revision, watching.id->revision));
      }
      if (least != UINT64_MAX && mark->revision < least)
        fail(fmt::format("V1: a stream at revision {} is said to be at {}", least, mark->revision));
      return;
    }
    case Mark::reset:
    case Mark::synced: return fail("V1: a state of no watch");
  }
}

// All events up to this revision were sent.
void World::on_watch_progress(Watching& watching, std::uint64_t revision) {
  if (watching.id && revision < watching.id->revision)
    return fail(
        fmt::format("V1: a watch falls from revision {} to {}", watching.id->revision, revision));
  const auto& events = history_.model().events();
  const std::size_t next = next_event_of(watching);
  if (watching.id && next < events.size() && events[next].revision <= revision)
    return fail(fmt::format("V1: a watch is at revision {}, but has not sent '{}' at {}", revision,
                            events[next].key, events[next].revision));
  watched_up_to(watching, revision);
}

void World::on_watch_item(Watching& watching, const node::WatchItem& item) {
  const std::uint64_t oldest = history_.model().oldest();
  // The first revision that the client needs next.
  const std::uint64_t needs =
      watching.id ? watching.id->revision + (watching.id->part == 0 ? 1 : 0) : 0;
  const auto lost = [&] { return !watching.id || needs < oldest; };
  if (const auto* event = std::get_if<node::WatchEvent>(&item))
    return on_watch_event(watching, *event);
  if (const auto* state = std::get_if<node::WatchState>(&item)) {
    if (!watching.reads_state) return fail("V1: a watch sends a state that was not announced");
    watching.state.push_back(text_of(state->version->key(), seen_of(state->version.get()), true));
    return;
  }
  if (std::holds_alternative<node::WatchClosed>(item)) {
    tally_.count(Count::watches_too_slow);
    if (!lost() && !watching.reads_state)
      fail(
          fmt::format("V1: a watch at revision {} is too slow, but {} is readable", needs, oldest));
    return;
  }
  const auto& mark = std::get<node::WatchMark>(item);
  switch (mark.kind) {
    case Mark::alive:
    case Mark::stale:
    case Mark::fresh: return fail("V1: a watch sends a mark of its stream");
    case Mark::reset:
      tally_.count(Count::watches_reset);
      if (!lost())
        fail(fmt::format("V1: a watch that needs revision {} is reset, but {} is readable", needs,
                         oldest));
      watching.reads_state = true;
      watching.state.clear();
      return;
    case Mark::synced: return on_watch_synced(watching, mark.revision);
    case Mark::progress: return on_watch_progress(watching, mark.revision);
  }
}

void World::on_watch_event(Watching& watching, const node::WatchEvent& event) {
  tally_.count(Count::watch_events);
  const Model& model = history_.model();
  const kv::Version& version = *event.version;
  const std::size_t next = next_event_of(watching);
  if (!watching.id || next == model.events().size())
    return fail(fmt::format("V1: a watch sends '{}' at {}.{}, which is not to come",
                            escaped(version.key()), version.revision(), version.place()));
  const Model::Event& right = model.events()[next];
  if (version.revision() != right.revision || version.place() != right.place ||
      version.key() != right.key || version.is_expired() != right.expired ||
      seen_of(&version) != model.at(right.space, right.key, right.revision))
    return fail(fmt::format("V1: a watch sends '{}' at {}.{}, right is '{}' at {}.{}",
                            escaped(version.key()), version.revision(), version.place(),
                            escaped(right.key), right.revision, right.place));
  if (seen_of(event.replaced.get()) != (watching.prev ? model.before(right) : Seen{}))
    return fail(fmt::format("V1: what the event of '{}' at {} replaced is another",
                            escaped(right.key), right.revision));
  watching.next = next + 1;
  const std::size_t following = next_event_of(watching);
  const bool more =
      following < model.events().size() && model.events()[following].revision == right.revision;
  if (event.more != more)
    return fail(fmt::format("V1: the event of '{}' at {}.{} has the wrong 'more'",
                            escaped(right.key), right.revision, right.place));
  watching.id = node::WatchId{right.revision, more ? right.place : 0};
}

// The state that was sent must be that at this revision.
void World::on_watch_synced(Watching& watching, std::uint64_t revision) {
  if (!watching.reads_state) return fail("V1: a watch is synced without a state");
  if (watching.id && revision < watching.id->revision)
    return fail("V1: a watch is reset to an earlier revision");
  std::vector<std::string> right;
  if (watching.kinds != Watching::Kinds::deletes)
    for (const auto& [key, versions] : history_.model().versions(watching.space)) {
      const Seen seen = history_.model().at(watching.space, key, revision);
      if (seen.present && watching.covers(key)) right.push_back(text_of(key, seen, true));
    }
  if (watching.state != right)
    return fail(fmt::format("V1: the state of a watch at revision {} has {} keys, right are {}",
                            revision, watching.state.size(), right.size()));
  tally_.count(Count::watches_synced);
  watching.reads_state = false;
  watched_up_to(watching, revision);
}

// A node has more to say to a watch.
void World::woken(const node::Ticket& ticket) {
  if (ticket.connection < kFirstConnection || ticket.connection == Viewer::kConnection) return;
  watchers_[static_cast<std::size_t>(ticket.connection - kFirstConnection)].waits = false;
}

// The process ends, and its watches with it.
void World::end_watches(const Host& h) {
  for (Watcher& watcher : watchers_)
    if (watcher.stream != nullptr && watcher.host == h.number()) cut_off(watcher);
  if (viewer_.is_at(h.number())) viewer_.close();
}

// V2: in the calm, every watch of a healthy server gets what is committed.
bool World::all_watched() const {
  return std::all_of(watchers_.begin(), watchers_.end(), [&](const Watcher& watcher) {
    const Host& h = *hosts_[watcher.host];
    if (watcher.stream == nullptr || h.outside || !takes_part(h) || h.gone_for_good) return true;
    return std::all_of(watcher.watches.begin(), watcher.watches.end(),
                       [&](const Watching& watching) {
                         return watching.in_stream && watching.id && !watching.reads_state &&
                                next_event_of(watching) == history_.model().events().size();
                       });
  });
}

}  // namespace vesper::sim
