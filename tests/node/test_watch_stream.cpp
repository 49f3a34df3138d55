// Streams of several watches: each watch sees exactly the log from its start on, whatever the
// others do, and the stream knows how far all of them are.
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "watch_house.hpp"

namespace test_watch_stream {

using namespace vesper;
using namespace vesper::node;
using namespace vesper::test;
using Mark = WatchMark::Kind;
using Next = WatchStream::Next;

namespace {

constexpr kv::Space kKeys = kv::Space::keys;

}  // namespace

TEST_CASE("watches come and go while their stream runs") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  CHECK(pull(house, *stream).empty());
  CHECK(stream->reached() == 1);
  REQUIRE(stream->add(7, request(of_key("a"), WatchId{1, 0})));
  for (int i = 0; i < 2; ++i) house.commit({{"a"}, {"b"}});
  CHECK(pull(house, *stream) == "7:+a@2 7:+a@3");
  // One joins late, and resumes at an old revision.
  REQUIRE(stream->add(2, request(of_key("b"), WatchId{2, 0})));
  CHECK(stream->has(2));
  CHECK(pull(house, *stream) == "2:+b@3");
  house.commit({{"b"}, {"a"}, {"c"}});
  CHECK(house.end_turn() == std::multiset<std::uint64_t>{1});
  CHECK(pull(house, *stream) == "2:+b@4 7:+a@4");
  // One is removed while an event of it is due.
  house.commit({{"a"}, {"b"}});
  CHECK(stream->remove(7));
  CHECK_FALSE(stream->remove(7));
  CHECK_FALSE(stream->has(7));
  CHECK(pull(house, *stream) == "2:+b@5");
  (void)house.end_turn();
  house.commit({{"a"}});
  CHECK(house.end_turn().empty());
  CHECK(house.watches.figures().watches == 1);
  CHECK(house.watches.figures().ranges == 1);
  // The same number again is another watch.
  REQUIRE(stream->add(7, request(of_key("a"))));
  CHECK(pull(house, *stream) == "7:progress@6");
  CHECK(house.waits.size() == 2);
}

TEST_CASE("a watch that is behind delays the others by its share at most") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  REQUIRE(stream->add(1, request(of_key("live"))));
  CHECK(pull(house, *stream) == "1:progress@1");
  for (int i = 0; i < 3000; ++i) house.commit({{"backlog"}});
  std::size_t budget = 600;
  WatchOutput out;
  SUBCASE("while it finds nothing") {
    REQUIRE(stream->add(2, request(of_key("none"), WatchId{1, 0})));
    CHECK(stream->next(house.now, budget, out) == Next::later);
    CHECK(budget == 0);
    house.commit({{"live"}});
    budget = 600;
    REQUIRE(stream->next(house.now, budget, out) == Next::item);
    CHECK(out.watch == 1);
    CHECK(budget > 300);
  }
  SUBCASE("while it has much to yield") {
    REQUIRE(stream->add(2, request(of_key("backlog"), WatchId{1, 0})));
    for (int i = 0; i < 100; ++i) REQUIRE(stream->next(house.now, budget, out) == Next::item);
    house.commit({{"live"}});
    std::vector<std::uint64_t> order;
    for (int i = 0; i < 2; ++i) {
      REQUIRE(stream->next(house.now, budget, out) == Next::item);
      order.push_back(*out.watch);
    }
    CHECK(order == std::vector<std::uint64_t>{2, 1});
  }
}

TEST_CASE("progress is what all watches have reached") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  REQUIRE(stream->add(1, request(of_key("a"), WatchId{1, 0})));
  for (int i = 0; i < 5; ++i) house.commit({{"x"}, {"b"}, {"c"}});
  CHECK_FALSE(stream->reached());  // it has not begun
  CHECK(pull(house, *stream).empty());
  CHECK(stream->reached() == 6);
  REQUIRE(stream->add(2, request(of_key("b"), WatchId{1, 0})));
  stream->ask_progress();
  std::size_t budget = 1;
  WatchOutput out;
  SUBCASE("one is behind") {
    REQUIRE(stream->next(house.now, budget, out) == Next::later);
    CHECK_FALSE(stream->reached());  // inside of a revision
    CHECK(pull(house, *stream) == "2:+b@2 2:+b@3 2:+b@4 2:+b@5 2:+b@6 progress@6");
  }
  SUBCASE("it is given between revisions, while one is behind") {
    REQUIRE(stream->remove(2));
    REQUIRE(stream->add(2, request(of_key("c"), WatchId{1, 0})));
    budget = 2;
    REQUIRE(stream->next(house.now, budget, out) == Next::item);
    CHECK(text_of(out.item) == "+c@2");
    REQUIRE(stream->next(house.now, budget, out) == Next::item);
    CHECK_FALSE(out.watch);
    CHECK(text_of(out.item) == "progress@2");
  }
  SUBCASE("a state is to come") {
    WatchRequest with_state = request(of_key("b"));
    with_state.begin = WatchRequest::Begin::with_state;
    REQUIRE(stream->add(3, with_state));
    budget = 0;
    REQUIRE(stream->next(house.now, budget, out) == Next::later);
    CHECK_FALSE(stream->reached());
    const std::string rest = pull(house, *stream);
    CHECK(rest.ends_with("progress@6"));
    CHECK(rest.find("progress") == rest.rfind("progress"));
  }
  CHECK(pull(house, *stream).find("progress") == std::string::npos);
}

TEST_CASE("a quiet stream says how far it is if one of its watches wants it") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  WatchRequest quiet = request(of_key("a"), WatchId{1, 0});
  quiet.progress = WatchRequest::Progress::omit;
  REQUIRE(stream->add(1, quiet));
  house.commit({{"x"}});
  CHECK(pull(house, *stream).empty());
  house.now = house.now + seconds(16);
  (void)house.end_turn();
  CHECK(pull(house, *stream).empty());
  REQUIRE(stream->add(2, request(of_key("b"), WatchId{2, 0})));
  CHECK(pull(house, *stream).empty());
  house.now = house.now + seconds(16);
  CHECK(house.end_turn().size() == 1);
  CHECK(pull(house, *stream) == "progress@2");
}

TEST_CASE("a watch that is too slow ends, and the others go on") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  REQUIRE(stream->add(1, request(of_key("slow"), WatchId{1, 0})));
  REQUIRE(stream->add(2, request(of_key("idle"), WatchId{1, 0})));
  CHECK(pull(house, *stream).empty());
  for (int i = 0; i < 4; ++i) house.commit({{"slow"}});
  house.keyspace->compact(4);
  trim_all(*house.keyspace);
  house.commit({{"idle"}});
  CHECK(pull(house, *stream) == "1:too_slow 2:+idle@6");
  CHECK(house.watches.figures().too_slow == 1);
  CHECK_FALSE(stream->has(1));
  // It may come again, and begins with the state, because its history is gone.
  REQUIRE(stream->add(1, request(of_key("slow"), WatchId{1, 0})));
  CHECK(pull(house, *stream) == "1:reset@6 1:=slow 1:synced@6");
  REQUIRE(stream->remove(2));
  for (int i = 0; i < 4; ++i) house.commit({{"slow"}});
  house.keyspace->compact(9);
  CHECK(pull(house, *stream) == "1:too_slow end");
  CHECK(pull(house, *stream) == " end");
  REQUIRE(stream->add(3, request(of_key("slow"), WatchId{8, 0})));
  CHECK(pull(house, *stream) == "3:+slow@9 3:+slow@10");
  house.watches.set_diverged();
  CHECK(pull(house, *stream) == "diverged end");
  CHECK(house.watches.figures().watches == 0);
}

TEST_CASE("each watch that is ahead of the node asks the leader for itself") {
  House house;
  const auto stream = house.watches.open(Ticket{1, 1}, house.now);
  const auto ask = [&](ReadBatcher& reads) {
    house.watches.join(reads);
    const auto question = reads.ask(raft::Term(1), raft::ServerId(0), house.now, seconds(1));
    REQUIRE(question);
    return question->id;
  };
  ReadBatcher reads(0);
  REQUIRE(stream->add(1, request(of_key("k"), WatchId{3, 0})));
  CHECK(pull(house, *stream).empty());
  const std::uint64_t first = ask(reads);
  REQUIRE(stream->add(2, request(of_key("k"), WatchId{3, 0})));
  CHECK(pull(house, *stream).empty());
  REQUIRE(house.watches.has_question());
  house.watches.join(reads);
  CHECK(reads.answered(first).size() == 1);
  house.watches.on_read_index(reads.gathering(), raft::Index(1));
  CHECK(house.end_turn().size() == 1);
  CHECK(pull(house, *stream) == "1:reset@1 1:synced@1");
  CHECK(house.watches.is_asking());
  REQUIRE(stream->remove(2));
  CHECK_FALSE(house.watches.is_asking());
}

TEST_CASE("watches and ranges are limited in all streams together") {
  House house(2);
  const auto a = house.watches.open(Ticket{1, 1}, house.now);
  const auto b = house.watches.open(Ticket{2, 1}, house.now);
  REQUIRE(a->add(1, request(of_key("a"))));
  REQUIRE(b->add(1, request(of_key("a"))));
  CHECK_FALSE(a->add(2, request(of_key("a"))));
  CHECK(house.open(request(of_key("a"))) == nullptr);
  REQUIRE(b->remove(1));
  std::vector<SpaceRange> ranges;
  for (char c = 'a'; c <= 'z'; ++c)
    for (int i = 0; i < 9; ++i)
      ranges.push_back({kKeys, kv::KeyRange::of_key(c + std::to_string(i))});
  CHECK_FALSE(a->add(2, request(WatchFilter(ranges, WatchFilter::Kinds::all))));
  CHECK(a->add(2, request(of_key("a"))));
}

// ---- at random ------------------------------------------------------------------------------

namespace {

struct Logged {
  std::uint64_t revision;
  std::uint32_t place;
  kv::VersionRef version;
};

// Everything that was ever committed.
struct Record {
  std::vector<Logged> log;

  void take_from(const kv::Keyspace& keyspace, std::uint64_t at) {
    for (; at < keyspace.end_of_events(); ++at) {
      const kv::VersionRef version = keyspace.event(at);
      log.push_back({version->revision(), version->place(), version});
    }
  }
  // The first event after `seen` that passes; the size of the log if there is none.
  std::size_t next(const WatchFilter& filter, WatchId seen) const {
    std::size_t i = 0;
    const auto is_seen = [&](const Logged& one) {
      if (one.revision != seen.revision) return one.revision < seen.revision;
      return seen.part == 0 || one.place <= seen.part;
    };
    while (i < log.size() && (is_seen(log[i]) || !filter.passes(*log[i].version))) ++i;
    return i;
  }
  using State = std::map<std::pair<kv::Space, std::string>, std::string>;
  State state(const WatchFilter& filter, std::uint64_t revision) const {
    const WatchFilter all(filter.ranges(), WatchFilter::Kinds::all);
    State state;
    for (const Logged& one : log) {
      if (one.revision > revision || !all.passes(*one.version)) continue;
      const std::pair name(one.version->space(), std::string(one.version->key()));
      if (one.version->is_tombstone()) state.erase(name);
      else state[name] = std::string(one.version->value());
    }
    return state;
  }
};

// A watch as its client sees it, judged by the record.
struct Judge {
  WatchFilter filter;
  std::optional<WatchId> seen;  // nothing: it has not begun
  bool reads_state = false;
  Record::State state;
  bool may_reset = false;  // its history was compacted, or the store replaced
  std::size_t events = 0, resets = 0;

  // Returns false if the watch has ended.
  bool take(const WatchItem& item, const Record& record) {
    if (const auto* event = std::get_if<WatchEvent>(&item)) return take(*event, record);
    if (const auto* one = std::get_if<WatchState>(&item)) {
      REQUIRE(reads_state);
      state[{one->version->space(), std::string(one->version->key())}] =
          std::string(one->version->value());
      return true;
    }
    if (std::holds_alternative<WatchClosed>(item)) {
      REQUIRE(may_reset);
      return false;
    }
    const auto& mark = std::get<WatchMark>(item);
    if (mark.kind == Mark::reset) {
      REQUIRE(may_reset);
      ++resets;
      reads_state = true;
      state.clear();
    } else if (mark.kind == Mark::synced) {
      REQUIRE(reads_state);
      if (filter.kinds() != WatchFilter::Kinds::deletes)
        REQUIRE(state == record.state(filter, mark.revision));
      reads_state = may_reset = false;
      seen = WatchId{mark.revision, 0};
    } else if (mark.kind == Mark::progress) {
      has_reached(mark.revision, record);
      seen = WatchId{mark.revision, 0};
    }
    return true;
  }
  bool take(const WatchEvent& event, const Record& record) {
    REQUIRE(seen);
    REQUIRE_FALSE(reads_state);
    const std::size_t next = record.next(filter, *seen);
    REQUIRE(next < record.log.size());
    const kv::Version& version = *event.version;
    const Logged& right = record.log[next];
    REQUIRE(version.revision() == right.revision);
    REQUIRE(version.place() == right.place);
    REQUIRE(version.key() == right.version->key());
    REQUIRE(version.value() == right.version->value());
    seen = WatchId{right.revision, right.place};
    const std::size_t following = record.next(filter, *seen);
    const bool more =
        following < record.log.size() && record.log[following].revision == right.revision;
    REQUIRE(event.more == more);
    if (!more) seen->part = 0;
    ++events;
    return true;
  }
  // The stream says that nothing up to here is missing.
  void has_reached(std::uint64_t revision, const Record& record) const {
    if (!seen) return;
    REQUIRE_FALSE(reads_state);
    const std::size_t next = record.next(filter, *seen);
    REQUIRE((next == record.log.size() || record.log[next].revision > revision));
  }
};

struct RandomStream {
  Prng prng;
  House house;
  Record record;
  std::unique_ptr<WatchStream> stream = house.watches.open(Ticket{1, 1}, house.now);
  std::map<std::uint64_t, Judge> judges;
  std::uint64_t last_number = 0;
  std::size_t events = 0, resets = 0, closed = 0, marks = 0;

  explicit RandomStream(std::uint64_t seed) : prng(seed) {}

  WatchFilter random_filter() {
    std::vector<SpaceRange> ranges;
    for (auto left = prng.between(1, 3); left > 0; --left) {
      const std::string start(1, static_cast<char>('a' + prng.between(0, 7)));
      ranges.push_back(
          {static_cast<kv::Space>(prng.between(0, 2)),
           prng.between(0, 1) == 0 ? kv::KeyRange::of_key(start) : kv::KeyRange{start, ""}});
    }
    return {ranges, static_cast<WatchFilter::Kinds>(prng.between(0, 2))};
  }
  void commit() {
    const std::uint64_t at = house.keyspace->end_of_events();
    house.commit_some(prng);
    record.take_from(*house.keyspace, at);
  }
  void add() {
    Judge judge{.filter = random_filter(), .seen = {}, .state = {}};
    WatchRequest asked = request(judge.filter);
    switch (prng.between(0, 3)) {
      case 0: break;
      case 1:
        asked.begin = WatchRequest::Begin::with_state;
        judge.reads_state = true;
        break;
      default:
        asked.since = WatchId{static_cast<std::uint64_t>(prng.between(
                                  1, static_cast<std::int64_t>(house.keyspace->revision()))),
                              static_cast<std::uint32_t>(prng.between(0, 2))};
        judge.seen = asked.since;
    }
    judge.may_reset = asked.since.has_value() &&
                      asked.since->revision + 1 < house.keyspace->oldest_revision() + 1;
    REQUIRE(stream->add(++last_number, asked));
    judges.emplace(last_number, std::move(judge));
  }
  void end_one(std::uint64_t number) {
    events += judges.at(number).events;
    resets += judges.at(number).resets;
    judges.erase(number);
  }
  void compact() {
    const auto oldest = static_cast<std::int64_t>(house.keyspace->oldest_revision());
    const auto newest = static_cast<std::int64_t>(house.keyspace->revision());
    if (newest <= oldest) return;
    house.keyspace->compact(static_cast<std::uint64_t>(prng.between(oldest + 1, newest)));
    trim_all(*house.keyspace);
    allow_resets();
  }
  void allow_resets() {
    for (auto& [number, judge] : judges)
      if (!judge.seen || judge.seen->revision < house.keyspace->oldest_revision())
        judge.may_reset = true;
  }
  // Takes some of what there is.
  void pull(std::int64_t items) {
    for (; items > 0; --items) {
      std::size_t budget = static_cast<std::size_t>(prng.between(0, 9));
      WatchOutput out;
      const Next next = stream->next(house.now, budget, out);
      if (next == Next::waiting || next == Next::finished) return judge_all(next);
      if (next == Next::later) continue;
      if (!out.watch) {
        const auto& mark = std::get<WatchMark>(out.item);
        if (mark.kind != Mark::progress) continue;
        ++marks;
        for (const auto& [number, judge] : judges) judge.has_reached(mark.revision, record);
        continue;
      }
      Judge& judge = judges.at(*out.watch);
      if (judge.take(out.item, record)) continue;
      ++closed;
      end_one(*out.watch);
    }
  }
  // A stream that waits has yielded everything.
  void judge_all(Next next) {
    REQUIRE((next == Next::waiting || judges.empty()));
    for (const auto& [number, judge] : judges) {
      REQUIRE_FALSE(judge.reads_state);
      if (judge.seen) REQUIRE(record.next(judge.filter, *judge.seen) == record.log.size());
    }
    REQUIRE(stream->reached() == house.keyspace->revision());
  }
  void step(bool forgets) {
    switch (prng.between(0, 19)) {
      case 0:
      case 1:
        if (judges.size() < 6) add();
        break;
      case 2:
        if (!judges.empty() && prng.between(0, 3) == 0) {
          REQUIRE(stream->remove(judges.begin()->first));
          end_one(judges.begin()->first);
        }
        break;
      case 3: stream->ask_progress(); break;
      case 4:
        if (forgets) compact();
        break;
      case 5:
        if (forgets && prng.between(0, 3) == 0 && house.keyspace->revision() > 1) {
          house.install();
          allow_resets();
        }
        break;
      default: commit();
    }
    if (prng.between(0, 2) != 0) pull(prng.between(1, 30));
    (void)house.end_turn();
  }
};

}  // namespace

TEST_CASE("V1: each watch of a stream sees exactly the log from its start on, or a reset") {
  std::size_t events = 0, resets = 0, closed = 0, marks = 0;
  for (std::uint64_t round = 0; round < 40; ++round) {
    RandomStream random(round + 1);
    const bool forgets = round % 2 == 1;
    for (int step = 0; step < 300; ++step) random.step(forgets);
    random.pull(100'000);
    while (!random.judges.empty()) random.end_one(random.judges.begin()->first);
    if (!forgets) CHECK(random.resets + random.closed == 0);
    events += random.events;
    resets += random.resets;
    closed += random.closed;
    marks += random.marks;
  }
  CHECK(events > 5000);
  CHECK(resets > 20);
  CHECK(closed > 5);
  CHECK(marks > 100);
}

}  // namespace test_watch_stream
