// One list of members for each event, in fields_of(), serves both directions.
#include "node/trace_codec.hpp"

#include <type_traits>

namespace vesper::node {
namespace {

constexpr std::uint32_t kMaxElements = 256;        // of a list inside an event
constexpr std::uint32_t kMaxTraceEvents = 65'536;  // of one message
// The shift to the reader's clock must not overflow.
constexpr std::int64_t kLastReading = std::int64_t{1} << 61;

static_assert(kMaxElements >= kTraceLogWindow);
static_assert(kMaxElements >= raft::kMaxServers);

template <typename Of, typename Event>
concept Is = std::same_as<std::remove_const_t<Of>, Event>;

constexpr std::uint8_t last_of(ServerRole) {
  return static_cast<std::uint8_t>(ServerRole::learner);
}
constexpr std::uint8_t last_of(MemberState) {
  return static_cast<std::uint8_t>(MemberState::promoting);
}
constexpr std::uint8_t last_of(raft::Seat) {
  return static_cast<std::uint8_t>(raft::Seat::outgoing);
}
constexpr std::uint8_t last_of(TraceMessage) {
  return static_cast<std::uint8_t>(TraceMessage::other);
}
constexpr std::uint8_t last_of(TraceField) {
  return static_cast<std::uint8_t>(TraceField::bytes);
}

void fields_of(auto& v, Is<TraceTimer> auto& e) {
  v(e.deadline, e.timeout);
}
void fields_of(auto& v, Is<TraceConfiguration::Member> auto& e) {
  v(e.node, e.address, e.seat);
}
void fields_of(auto& v, Is<TraceConfiguration> auto& e) {
  v(e.index, e.is_joint, e.members);
}
void fields_of(auto& v, Is<TraceVotes> auto& e) {
  v(e.term, e.pre_vote, e.granted, e.refused, e.needed);
}
void fields_of(auto& v, Is<TraceRun> auto& e) {
  v(e.term, e.from, e.to);
}
void fields_of(auto& v, Is<TraceFollower> auto& e) {
  v(e.node, e.match_index, e.state);
}
void fields_of(auto& v, Is<TraceAlarms> auto& e) {
  v(e.disk_full, e.disk_slow, e.diverged);
}
void fields_of(auto& v, Is<TraceState> auto& e) {
  v(e.role, e.term, e.voted_for, e.leader, e.first_index, e.last_index, e.commit_index,
    e.applied_index, e.snapshot_index, e.configuration, e.election, e.followers, e.votes, e.log,
    e.alarms);
}
void fields_of(auto& v, Is<TraceRole> auto& e) {
  v(e.role, e.term, e.leader);
}
void fields_of(auto& v, Is<TraceVote> auto& e) {
  v(e.term, e.candidate, e.pre_vote);
}
void fields_of(auto& v, Is<TraceAppend> auto& e) {
  v(e.entries);
}
void fields_of(auto& v, Is<TraceTruncate> auto& e) {
  v(e.from);
}
void fields_of(auto& v, Is<TraceCommit> auto& e) {
  v(e.index);
}
void fields_of(auto& v, Is<TraceApply> auto& e) {
  v(e.index);
}
void fields_of(auto& v, Is<TraceSnapshot> auto& e) {
  v(e.index);
}
void fields_of(auto& v, Is<TraceMatch> auto& e) {
  v(e.follower, e.index);
}
void fields_of(auto& v, Is<TraceElection> auto& e) {
  v(e.timer);
}
void fields_of(auto& v, Is<TraceReachable> auto& e) {
  v(e.peer, e.is_reachable);
}
void fields_of(auto& v, Is<TraceSend::Field> auto& e) {
  v(e.field, e.value);
}
void fields_of(auto& v, Is<TraceSend> auto& e) {
  v(e.to, e.message, e.term, e.fields);
}
void fields_of(auto& v, Is<TraceRate> auto& e) {
  for (auto& count : e.messages) v(count);
}
void fields_of(auto& v, Is<TraceDropped> auto& e) {
  v(e.events);
}
void fields_of(auto&, Is<TraceSilent> auto&) {}

struct PutTrace {
  ByteWriter& w;

  template <typename... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }
  void put(bool value) { w.u8(value ? 1 : 0); }
  void put(std::uint32_t value) { w.u32(value); }
  void put(std::uint64_t value) { w.u64(value); }
  void put(raft::Term term) { w.u64(term.value); }
  void put(raft::Index index) { w.u64(index.value); }
  void put(raft::NodeId node) { w.u32(node.value); }
  void put(Instant at) { w.i64(at.ns); }
  void put(Duration duration) { w.i64(duration.ns); }
  void put(const std::string& text) { w.string(text); }
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void put(Enum value) { w.u8(static_cast<std::uint8_t>(value)); }
  template <typename Value>
  void put(const std::optional<Value>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename Value>
  void put(const std::vector<Value>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const Value& value : values) put(value);
  }
  template <typename Event>
  requires requires(PutTrace& v, const Event& e) { fields_of(v, e); }
  void put(const Event& event) { fields_of(*this, event); }
};

struct GetTrace {
  ByteReader& r;

  template <typename... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
  void get(bool& value) { value = small(1) != 0; }
  void get(std::uint32_t& value) { value = r.u32(); }
  void get(std::uint64_t& value) { value = r.u64(); }
  void get(raft::Term& term) {
    term = raft::Term(r.u64());
    if (term > raft::kMaxTerm) r.fail();
  }
  void get(raft::Index& index) {
    index = raft::Index(r.u64());
    if (index > raft::kMaxIndex) r.fail();
  }
  void get(raft::NodeId& node) {
    node = raft::NodeId(r.u32());
    if (node.value > raft::kMaxServerId) r.fail();
  }
  void get(Instant& at) { at.ns = reading(); }
  void get(Duration& duration) { duration.ns = reading(); }
  void get(std::string& text) { text = r.string(raft::kMaxAddress); }
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void get(Enum& value) { value = static_cast<Enum>(small(last_of(Enum{}))); }
  template <typename Value>
  void get(std::optional<Value>& value) {
    if (small(1) != 0) get(value.emplace());
  }
  template <typename Value>
  void get(std::vector<Value>& values) {
    const std::uint32_t count = r.u32();
    if (count > kMaxElements) r.fail();
    for (std::uint32_t i = 0; i < count && r.ok(); ++i) get(values.emplace_back());
  }
  template <typename Event>
  requires requires(GetTrace& v, Event& e) { fields_of(v, e); }
  void get(Event& event) { fields_of(*this, event); }

  std::uint8_t small(std::uint8_t last) {
    const std::uint8_t value = r.u8();
    if (value <= last) return value;
    r.fail();
    return 0;
  }
  std::int64_t reading() {
    const std::int64_t value = r.i64();
    if (value >= 0 && value <= kLastReading) return value;
    r.fail();
    return 0;
  }
};

template <std::size_t kind = 0>
void get_event(GetTrace& get, std::size_t wanted, TraceEvent& event) {
  if constexpr (kind == std::variant_size_v<TraceEvent>) {
    get.r.fail();
  } else if (wanted == kind) {
    fields_of(get, event.template emplace<kind>());
  } else {
    get_event<kind + 1>(get, wanted, event);
  }
}

}  // namespace

void write(const TraceAsked& m, ByteWriter& w) {
  PutTrace put{w};
  put(m.clock, m.wants_state);
}

void read(ByteReader& r, TraceAsked& m) {
  GetTrace get{r};
  get(m.clock, m.wants_state);
}

void write(const TraceHeard& m, ByteWriter& w) {
  PutTrace put{w};
  put(m.boot.value, m.asked, m.held, m.clock, m.before,
      static_cast<std::uint32_t>(m.events.size()));
  for (const TimedTraceEvent& each : m.events) {
    put(each.at);
    w.u8(static_cast<std::uint8_t>(each.event.index()));
    std::visit([&](const auto& event) { put.put(event); }, each.event);
  }
}

void read(ByteReader& r, TraceHeard& m) {
  GetTrace get{r};
  std::uint32_t count = 0;
  get(m.boot.value, m.asked, m.held, m.clock, m.before, count);
  if (count > kMaxTraceEvents) r.fail();
  for (std::uint32_t i = 0; i < count && r.ok(); ++i) {
    TimedTraceEvent& each = m.events.emplace_back();
    get(each.at);
    get_event(get, r.u8(), each.event);
  }
}

}  // namespace vesper::node
