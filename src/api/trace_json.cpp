#include "api/trace_json.hpp"

#include <charconv>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "api/cluster.hpp"
#include "base/assert.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

constexpr std::string_view kMessageNames[] = {
    "pre_vote",  "pre_vote_reply",  "vote",     "vote_reply",     "append",  "append_reply",
    "heartbeat", "heartbeat_reply", "snapshot", "snapshot_reply", "forward", "forward_reply",
    "read",      "read_reply",      "transfer", "other"};
static_assert(std::size(kMessageNames) == node::kTraceMessages);

std::string_view name_of(node::TraceMessage message) {
  return kMessageNames[static_cast<std::size_t>(message)];
}

std::string_view to_string(raft::Seat seat) {
  switch (seat) {
    case raft::Seat::learner: return "learner";
    case raft::Seat::voter: return "voter";
    case raft::Seat::incoming: return "incoming";
    case raft::Seat::outgoing: return "outgoing";
  }
  VESPER_UNREACHABLE();
}

// Milliseconds, with three decimals. Every event has a time, and fmt would need as long for it as
// all else takes.
void append_ms(json::Writer& json, json::Name name, std::int64_t ns) {
  const std::int64_t us = std::abs(ns / 1000);
  char text[24];
  char* end = text;
  if (ns <= -1000) *end++ = '-';
  end = std::to_chars(end, std::end(text), us / 1000).ptr;
  *end++ = '.';
  for (const std::int64_t digit : {us / 100, us / 10, us})
    *end++ = static_cast<char>('0' + digit % 10);
  json.key(name);
  json.raw({text, static_cast<std::size_t>(end - text)});
}

void append_nodes(json::Writer& json, json::Name name, const std::vector<raft::NodeId>& nodes) {
  json.key(name);
  json.begin_array();
  for (const raft::NodeId node : nodes) json.number(node.value);
  json.end_array();
}

void append_timer(json::Writer& json, const node::TraceTimer& timer) {
  append_ms(json, "deadline", timer.deadline.ns);
  json.member("timeout_ms", static_cast<std::uint64_t>(timer.timeout.ms()));
}

void append_run(json::Writer& json, const node::TraceRun& run) {
  json.member("from", run.from.value);
  json.member("to", run.to.value);
  json.member("term", run.term.value);
}

void append_tally(json::Writer& json, const node::TraceVotes& votes) {
  json.member("term", votes.term.value);
  json.member("pre_vote", votes.pre_vote);
  append_nodes(json, "granted", votes.granted);
  append_nodes(json, "refused", votes.refused);
  json.member("needed", votes.needed);
}

void append_members(json::Writer& json, const node::TraceConfiguration& configuration) {
  json.member("index", configuration.index.value);
  json.member("joint", configuration.is_joint);
  json.key("members");
  json.begin_array();
  for (const auto& member : configuration.members) {
    json.begin_object();
    json.member("id", member.node.value);
    json.bytes_member("address", member.address);
    json.member("seat", to_string(member.seat));
    json.end_object();
  }
  json.end_array();
}

void append_field(json::Writer& json, const node::TraceSend::Field& field) {
  switch (field.field) {
    case node::TraceField::prev_index: return json.member("prev_index", field.value);
    case node::TraceField::prev_term: return json.member("prev_term", field.value);
    case node::TraceField::entries: return json.member("entries", field.value);
    case node::TraceField::commit_index: return json.member("commit_index", field.value);
    case node::TraceField::success: return json.member("success", field.value != 0);
    case node::TraceField::match_index: return json.member("match_index", field.value);
    case node::TraceField::granted: return json.member("granted", field.value != 0);
    case node::TraceField::last_index: return json.member("last_index", field.value);
    case node::TraceField::last_term: return json.member("last_term", field.value);
    case node::TraceField::bytes: return json.member("bytes", field.value);
  }
  VESPER_UNREACHABLE();
}

// The members of an event's object after the common ones.
struct WriteTrace {
  json::Writer& json;

  void kind(std::string_view name, raft::NodeId node, Instant at) const {
    json.begin_object();
    json.member("node", node.value);
    json.member("kind", name);
    append_ms(json, "at", at.ns);
  }
  void leader(const std::optional<raft::NodeId>& leader) const {
    if (leader) json.member("leader", leader->value);
  }

  void operator()(const node::TraceState& e) const {
    json.member("role", node::to_string(e.role));
    json.member("term", e.term.value);
    if (e.voted_for) json.member("voted_for", e.voted_for->value);
    leader(e.leader);
    json.member("first_index", e.first_index.value);
    json.member("last_index", e.last_index.value);
    json.member("commit_index", e.commit_index.value);
    json.member("applied_index", e.applied_index.value);
    json.member("snapshot_index", e.snapshot_index.value);
    json.begin_object("configuration");
    append_members(json, e.configuration);
    json.end_object();
    if (e.election) {
      json.begin_object("election");
      append_timer(json, *e.election);
      json.end_object();
    }
    if (e.role == node::ServerRole::leader) followers(e);
    if (e.votes) {
      json.begin_object("votes");
      append_tally(json, *e.votes);
      json.end_object();
    }
    if (e.alarms.disk_full) json.member("disk_full", true);
    if (e.alarms.disk_slow) json.member("disk_slow", true);
    if (e.alarms.diverged) json.member("diverged", true);
    json.key("log");
    json.begin_array();
    for (const node::TraceRun& run : e.log) {
      json.begin_object();
      append_run(json, run);
      json.end_object();
    }
    json.end_array();
  }
  void followers(const node::TraceState& e) const {
    json.key("followers");
    json.begin_array();
    for (const node::TraceFollower& follower : e.followers) {
      json.begin_object();
      json.member("id", follower.node.value);
      json.member("match_index", follower.match_index.value);
      if (const auto state = member_state_name(follower.state); !state.empty())
        json.member("state", state);
      json.end_object();
    }
    json.end_array();
  }
  void operator()(const node::TraceRole& e) const {
    json.member("role", node::to_string(e.role));
    json.member("term", e.term.value);
    leader(e.leader);
  }
  void operator()(const node::TraceVote& e) const {
    json.member("term", e.term.value);
    json.member("for", e.candidate.value);
    json.member("pre_vote", e.pre_vote);
  }
  void operator()(const node::TraceVotes& e) const { append_tally(json, e); }
  void operator()(const node::TraceAppend& e) const { append_run(json, e.entries); }
  void operator()(const node::TraceTruncate& e) const { json.member("from", e.from.value); }
  void operator()(const node::TraceCommit& e) const { json.member("index", e.index.value); }
  void operator()(const node::TraceApply& e) const { json.member("index", e.index.value); }
  void operator()(const node::TraceSnapshot& e) const { json.member("index", e.index.value); }
  void operator()(const node::TraceMatch& e) const {
    json.member("follower", e.follower.value);
    json.member("index", e.index.value);
  }
  void operator()(const node::TraceElection& e) const {
    if (e.timer) append_timer(json, *e.timer);
  }
  void operator()(const node::TraceConfiguration& e) const { append_members(json, e); }
  void operator()(const node::TraceReachable& e) const {
    json.member("peer", e.peer.value);
    json.member("reachable", e.is_reachable);
  }
  void operator()(const node::TraceSend& e) const {
    json.member("to", e.to.value);
    json.member("message", name_of(e.message));
    if (e.term) json.member("term", e.term->value);
    for (const auto& field : e.fields) append_field(json, field);
  }
  void operator()(const node::TraceRate& e) const {
    json.begin_object("messages");
    for (std::size_t i = 0; i < e.messages.size(); ++i) {
      if (e.messages[i] == 0) continue;
      json.key(kMessageNames[i]);
      json.number(e.messages[i]);
    }
    json.end_object();
  }
  void operator()(const node::TraceDropped& e) const { json.member("events", e.events); }
  void operator()(const node::TraceSilent&) const {}
};

// In the order of node::TraceEvent.
constexpr std::string_view kKindNames[] = {
    "state",     "role",  "vote",     "votes",   "append",   "truncate",
    "commit",    "apply", "snapshot", "match",   "election", "configuration",
    "reachable", "send",  "rate",     "dropped", "silent"};
static_assert(std::size(kKindNames) == std::variant_size_v<node::TraceEvent>);

}  // namespace

void append_trace(std::string& out, const node::TraceItem& item) {
  json::Writer json(out);
  const WriteTrace write{json};
  write.kind(kKindNames[item.event.index()], item.node, item.at);
  std::visit(write, item.event);
  json.end_object();
}

}  // namespace vesper::api
