// Pages of a range that are asked for one after the other, and streams that are read in pieces
// while writes, compactions, elections and installs go on. Their parts have to fit together.
#include <algorithm>

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kMostPieces = 5'000;

}  // namespace

// ---- pages

// The next page has the rest of the range, at the same revision.
void World::on_page(Client& client, const Operation& asked, const node::RangeFound& found) {
  tally_.count(Count::range_pages);
  const auto at = pages_.find(asked.pages);
  if (at == pages_.end()) return;
  Pages& pages = at->second;
  const RangeText text = range_text_of(found.page);
  if (!asked.counted) {  // the first page, perhaps not for the first time
    pages.revision = found.revision;
    pages.all = {};
    pages.all.count = text.count;
  }
  if (found.revision != pages.revision)
    return fail(
        fmt::format("H4: a page of revision {} follows one of {}", found.revision, pages.revision));
  pages.all.kvs.insert(pages.all.kvs.end(), text.kvs.begin(), text.kvs.end());
  pages.all.prefixes.insert(pages.all.prefixes.end(), text.prefixes.begin(), text.prefixes.end());
  if (!text.more) {
    Act whole = pages.whole;
    whole.limit = 0;
    const RangeText right = history_.model().range(whole, pages.revision);
    if (pages.all.text() != right.text())
      fail(fmt::format("H4: the pages of a range are {}, right is {}", pages.all.text(),
                       right.text()));
    if (asked.counted) tally_.count(Count::ranges_paged_through);
    pages_.erase(at);
    return;
  }
  const std::string right = history_.model().range(asked.act, pages.revision).resume;
  Act skipped;
  skipped.content = Act::Content::count;
  skipped.span = asked.act.descending ? Span{text.resume, right} : Span{right, text.resume};
  if (text.resume != right && history_.model().range(skipped, pages.revision).count > 0)
    return fail(fmt::format("H4: a page resumes at '{}', right is '{}'", text.resume, right));
  pages.next = asked;
  pages.next.level = Operation::Level::linearizable;
  pages.next.max_staleness.reset();
  pages.next.act.revision = pages.revision;
  pages.next.counted = pages.all.count;
  if (asked.act.descending) pages.next.act.span.end = text.resume;
  else pages.next.act.span.start = text.resume;
  after(between(client.random, {}, milliseconds(chance(client.random, 80) ? 50 : 2'000)),
        PageOn{static_cast<std::size_t>(&client - clients_.data()), asked.pages});
}

void World::page_on(const PageOn& on) {
  Client& client = clients_[on.client];
  const auto at = pages_.find(on.pages);
  if (at == pages_.end() || !faulty_ || (client.connection == 0 && !connect(client))) return;
  ask(client, at->second.next);
}

// ---- streams

void World::on_stream(const Client& client, const Operation& asked, node::StreamFound& found) {
  tally_.count(Count::streams);
  Reading& reading = readings_[++last_reading_];
  reading.host = client.host;
  reading.stream = std::move(found.stream);
  reading.installed = host(client.host).node->counters().snapshots_installed;
  Act whole = asked.act;
  reading.right = history_.model().range(whole, reading.stream->revision());
  after(between(faults_, {}, milliseconds(5)), StreamOn{last_reading_});
}

void World::stream_on(const StreamOn& on) {
  const auto at = readings_.find(on.reading);
  if (at == readings_.end()) return;  // its server has died
  Reading& reading = at->second;
  tally_.count(Count::stream_pieces);
  bool done = false;
  const auto part = [&](std::int64_t most) {
    return static_cast<std::size_t>(faults_.between(1, most));
  };
  const RangeText piece =
      range_text_of(reading.stream->next(part(chance(faults_, 50) ? 3 : 40), part(500), done));
  const auto fits = [](const std::vector<std::string>& these, const std::vector<std::string>& all,
                       std::size_t& from) {
    const bool right =
        these.size() <= all.size() - from &&
        std::equal(these.begin(), these.end(), all.begin() + static_cast<std::ptrdiff_t>(from));
    from += these.size();
    return right;
  };
  const bool right = fits(piece.kvs, reading.right.kvs, reading.kvs) &&
                     fits(piece.prefixes, reading.right.prefixes, reading.prefixes);
  const bool all =
      reading.kvs == reading.right.kvs.size() && reading.prefixes == reading.right.prefixes.size();
  if (!right || (done && !all))
    return fail(fmt::format("H4: a piece of a stream at revision {} is {}, of {}, after {} and {}",
                            reading.stream->revision(), piece.text(), reading.right.text(),
                            reading.kvs, reading.prefixes));
  if (++reading.pieces > kMostPieces) return fail("H4: a stream does not end");
  if (!done)
    return after(between(faults_, {}, milliseconds(chance(faults_, 60) ? 20 : 700)),
                 StreamOn{on.reading});
  if (reading.pieces > 1) tally_.count(Count::streams_in_pieces);
  if (reading.stream->revision() < history_.model().oldest())
    tally_.count(Count::streams_over_compactions);
  if (host(reading.host).node->counters().snapshots_installed != reading.installed)
    tally_.count(Count::streams_over_installs);
  readings_.erase(at);
}

// A snapshot is on its way to this server: its store will be replaced under the stream.
void World::stream_during_install(Host& h) {
  if (!faulty_ || !h.serves() || h.stopping || clients_.empty() || !one_in(faults_, 6)) return;
  Client& client = clients_[0];
  if (client.host != h.number() || client.connection == 0) {
    if (client.connection != 0) hang_up(client);
    client.host = h.number();
    client.connection = ++connections_;
  }
  Operation operation;
  operation.kind = Operation::Kind::stream;
  operation.level = Operation::Level::stale;
  operation.act.kind = Act::Kind::range;
  ask(client, std::move(operation));
}

// The process ends, and its streams with it.
void World::end_streams(const Host& h) {
  std::erase_if(readings_, [&](const auto& one) { return one.second.host == h.number(); });
}

// ---- the whole history of a server, at the end

// Every event that stays, each with the version that it replaced, and the state at old revisions.
void World::compare_history(const Host& h) {
  const Model& model = history_.model();
  const kv::Keyspace& keyspace = h.node->store().keyspace();
  const auto wrong = [&](const std::string& what) {
    fail(fmt::format("H3: server {}, compacted to {}: {}", h.number(), model.oldest(), what));
  };
  tally_.count(Count::histories_compared);
  std::size_t right = model.first_event();
  for (std::uint64_t n = keyspace.first_event(); n < keyspace.end_of_events(); ++n, ++right) {
    const kv::Version& event = *keyspace.event(n);
    if (right == model.events().size()) return wrong("it has too many events");
    const Model::Event& expected = model.events()[right];
    if (event.revision() != expected.revision || event.place() != expected.place ||
        event.key() != expected.key || event.space() != static_cast<kv::Space>(expected.space) ||
        event.is_expired() != expected.expired)
      return wrong(fmt::format("it has an event of '{}' at {}.{}, right is '{}' at {}.{}",
                               event.key(), event.revision(), event.place(), expected.key,
                               expected.revision, expected.place));
    if (seen_of(&event) != model.at(expected.space, event.key(), event.revision()))
      return wrong(
          fmt::format("the event of '{}' at {} has changed", event.key(), event.revision()));
    if (seen_of(keyspace.replaced_by(event)) != model.before(expected))
      return wrong(
          fmt::format("what '{}' was before {} is another", event.key(), event.revision()));
  }
  if (right != model.events().size()) return wrong("it has too few events");
  const std::uint64_t newest = model.revision(), oldest = model.oldest();
  for (const std::uint64_t revision :
       {oldest, oldest + (newest - oldest) / 3, oldest + (newest - oldest) * 2 / 3, newest})
    for (const auto& [key, versions] : model.versions())
      if (seen_of(keyspace.find(key, revision)) != model.at(key, revision))
        return wrong(fmt::format("'{}' at {} is another than it was", key, revision));
}

}  // namespace vesper::sim
