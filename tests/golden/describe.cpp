#include "golden/describe.hpp"

#include <fmt/core.h>

#include "raft/entry.hpp"

namespace vesper::golden {
namespace {

std::string position(raft::Index index, raft::Term term) {
  return fmt::format("{}@{}", index.value, term.value);
}

const char* why(raft::VoteRefusal refusal) {
  switch (refusal) {
    case raft::VoteRefusal::none: return "granted";
    case raft::VoteRefusal::old_term: return "refused: old term";
    case raft::VoteRefusal::leader_fresh: return "refused: leader fresh";
    case raft::VoteRefusal::log_behind: return "refused: log behind";
    case raft::VoteRefusal::already_voted: return "refused: already voted";
    case raft::VoteRefusal::other_cluster: return "refused: other cluster";
    case raft::VoteRefusal::promised: return "refused: promised";
    case raft::VoteRefusal::founding_waits: return "refused: founding waits";
    case raft::VoteRefusal::regressed: return "refused: regressed";
  }
  VESPER_UNREACHABLE();
}

const char* disk(raft::DiskHealth health) {
  switch (health) {
    case raft::DiskHealth::ok: return "";
    case raft::DiskHealth::stalled: return ", disk stalled";
    case raft::DiskHealth::full: return ", disk full";
    case raft::DiskHealth::regressed: return ", regressed";
  }
  VESPER_UNREACHABLE();
}

std::string describe_entries(const std::vector<raft::Entry>& entries) {
  if (entries.empty()) return ", no entries";
  std::string text = ", entries";
  for (const raft::Entry& entry : entries) text += " " + describe(entry);
  return text;
}

struct Words {
  std::string operator()(const raft::VoteRequest& m) const {
    return fmt::format("{} term {}, log {}{}{}", m.pre_vote ? "pre-vote?" : "vote?", m.term.value,
                       position(m.last_log_index, m.last_log_term),
                       m.cluster_id.is_none() ? ", no cluster" : "",
                       m.transfer ? ", for a hand-over" : "");
  }
  std::string operator()(const raft::VoteReply& m) const {
    return fmt::format("{} for term {} {}, term {}", m.pre_vote ? "pre-vote" : "vote",
                       m.for_term.value, why(m.refusal), m.term.value);
  }
  std::string operator()(const raft::AppendEntries& m) const {
    return fmt::format("append term {}, prev {}, commit {}{}", m.term.value,
                       position(m.prev_log_index, m.prev_log_term), m.leader_commit.value,
                       describe_entries(m.entries));
  }
  std::string operator()(const raft::AppendReply& m) const {
    if (m.success)
      return fmt::format("append ok term {}, match {}", m.term.value, m.match_index.value);
    return fmt::format("append refused term {}, prev {}, hint {}", m.term.value,
                       m.prev_log_index.value, position(m.hint_index, m.hint_term));
  }
  std::string operator()(const raft::Heartbeat& m) const {
    return fmt::format(
        "heartbeat term {}, commit {}, round {}{}", m.term.value, m.leader_commit.value, m.round,
        (m.leader_lease_ms > 0 ? fmt::format(", lease {} ms", m.leader_lease_ms) : "") +
            (m.write_block == raft::WriteBlock::full      ? ", writes blocked"
             : m.write_block == raft::WriteBlock::waiting ? ", writes wait"
                                                          : ""));
  }
  std::string operator()(const raft::HeartbeatReply& m) const {
    return fmt::format("heartbeat ok term {}, round {}, received {}{}{}", m.term.value, m.round,
                       m.received_index.value, disk(m.disk),
                       m.wants_commits ? ", wants commits" : "");
  }
  std::string operator()(const raft::TimeoutNow& m) const {
    return fmt::format("timeout now term {}", m.term.value);
  }
  std::string operator()(const raft::ReadIndexRequest& m) const {
    return fmt::format("read? term {}, id {}{}", m.term.value, m.id,
                       m.leader_lease ? ", lease" : "");
  }
  std::string operator()(const raft::ReadIndexReply& m) const {
    return fmt::format("read ok term {}, id {}, index {}{}", m.term.value, m.id, m.read_index.value,
                       m.leader_lease ? ", lease" : "");
  }
  std::string operator()(const raft::InstallSnapshot& m) const {
    const std::string which = position(m.snapshot.last_index, m.snapshot.last_term);
    if (m.data.empty()) return fmt::format("snapshot? term {}, {}", m.term.value, which);
    return fmt::format("snapshot term {}, {}, chunk {} of {}", m.term.value, which, m.chunk + 1,
                       m.snapshot.chunks());
  }
  std::string operator()(const raft::InstallSnapshotReply& m) const {
    if (m.done)
      return fmt::format("snapshot ok term {}, match {}", m.term.value, m.match_index.value);
    return fmt::format("snapshot ok term {}, {} chunks of the one at {}", m.term.value,
                       m.next_chunk, m.last_index.value);
  }
};

const char* role_name(const raft::Raft& raft) {
  struct Name {
    const char* operator()(const raft::Follower&) const { return "follower"; }
    const char* operator()(const raft::PreCandidate&) const { return "pre-candidate"; }
    const char* operator()(const raft::Candidate&) const { return "candidate"; }
    const char* operator()(const raft::Leader&) const { return "leader"; }
  };
  return std::visit(Name{}, raft.role());
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text.empty() ? "none" : text;
}

std::string text_of(raft::LogTime time) {
  return fmt::format("{}ms", Duration{time.value}.ms());
}

std::string name_of(std::optional<raft::ServerId> id) {
  return id ? fmt::format("{}", id->value) : std::string("none");
}

}  // namespace

std::string describe(const raft::Message& message) {
  return std::visit(Words{}, message);
}

std::string describe(const raft::Entry& entry) {
  std::string text = position(entry.index, entry.term) + ":";
  const SharedBytes payload = entry.payload();
  switch (entry.type) {
    case raft::EntryType::noop: return text + "noop";
    case raft::EntryType::command: return text + escaped(payload.view(), 16);
    case raft::EntryType::registration: {
      const auto read = raft::decode_registration(payload.view());
      return text + fmt::format("register({} as {:x})", read.value().id.value,
                                read.value().incarnation.value);
    }
    case raft::EntryType::membership:
    case raft::EntryType::bootstrap: {
      text += entry.type == raft::EntryType::bootstrap ? "bootstrap(" : "members(";
      const raft::Configuration configuration = raft::decode_configuration(payload.view()).value();
      for (const raft::Member& voter : configuration.members) {
        if (voter.id != configuration.members.front().id) text += " ";
        text += fmt::format("{}", voter.id.value);
        text += voter.incarnation.value == 0 ? std::string(" unregistered")
                                             : fmt::format(" as {:x}", voter.incarnation.value);
        constexpr std::string_view kSeats[] = {" learns", "", " incoming", " outgoing"};
        constexpr std::string_view kGoals[] = {"", ", to vote", ", to learn", ", to leave"};
        text += kSeats[static_cast<std::size_t>(voter.seat)];
        text += kGoals[static_cast<std::size_t>(voter.goal)];
      }
      return text + ")";
    }
  }
  VESPER_UNREACHABLE();
}

std::string describe(const raft::Write& write) {
  return fmt::format(
      "term {}, vote {}, commit {}, keep {}{}{}", write.hard_state.current_term.value,
      name_of(write.hard_state.voted_for), write.commit_index.value, write.keep_through.value,
      write.base.index.value > 0 ? fmt::format(" behind {}", write.base.index.value) : "",
      describe_entries(write.entries));
}

std::string describe(const raft::MembersAnswer& answer) {
  if (const auto* index = std::get_if<raft::Index>(&answer.outcome))
    return fmt::format("the change is entry {}", index->value);
  using Why = raft::MembersRefusal::Why;
  switch (std::get<raft::MembersRefusal>(answer.outcome).why) {
    case Why::change_in_progress: return "a change is in progress";
    case Why::would_lose_quorum: return "no majority of the new voters answers";
    case Why::not_leading: return "I take no changes now";
    case Why::unknown_node:
    case Why::repeated_node:
    case Why::address_taken:
    case Why::bad_address:
    case Why::too_many:
    case Why::no_voter:
    case Why::too_old: return "the change is invalid";
  }
  return "";
}

// "0v 1v 2o 3i 4l": numbers and seats, and a > if the member has a goal.
static std::string seats_of(const raft::Configuration& configuration) {
  std::string text;
  for (const raft::Member& member : configuration.members)
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", member.id.value,
                        "lvio"[static_cast<int>(member.seat)],
                        member.goal == raft::Goal::stay ? "" : ">");
  return text;
}

std::string describe_state(const Cores::Server& server) {
  if (!server.alive())
    return fmt::format("{} down, disk: term {}, vote {}, last {}", server.id.value,
                       server.disk.hard_state.current_term.value,
                       name_of(server.disk.hard_state.voted_for), server.disk.last_index().value);
  const raft::Raft& raft = *server.raft;
  return fmt::format(
      "{} {}, term {}, vote {}, leader {}, last {}, durable {}, commit {}, applied {}",
      server.id.value, role_name(raft), raft.current_term().value,
      name_of(raft.hard_state().voted_for), name_of(raft.leader()),
      position(raft.log().last_index(), raft.log().last_term()),
      raft.writes().durable_index().value, raft.commit_index().value, joined(server.applied));
}

std::optional<std::string> property(const Cores::Server& server, const std::string& name,
                                    Instant now) {
  if (!server.alive()) {
    if (name == "role") return "down";
    return std::nullopt;
  }
  const raft::Raft& raft = *server.raft;
  if (name == "role") return role_name(raft);
  if (name == "term") return fmt::format("{}", raft.current_term().value);
  if (name == "vote") return name_of(raft.hard_state().voted_for);
  if (name == "leader") return name_of(raft.leader());
  if (name == "last") return position(raft.log().last_index(), raft.log().last_term());
  if (name == "durable") return fmt::format("{}", raft.writes().durable_index().value);
  if (name == "first") return fmt::format("{}", raft.log().first_index().value);
  if (name == "snapshot") return fmt::format("{}", raft.snapshot().last_index.value);
  if (name == "commit") return fmt::format("{}", raft.commit_index().value);
  if (name == "applied") return joined(server.applied);
  if (name == "members") return seats_of(raft.configuration());
  if (name == "removed") return raft.is_removed() ? "yes" : "no";
  if (name == "clock") return text_of(raft.log_time(now));
  std::vector<std::string> words;
  if (name == "stamps") {
    for (raft::Index i = raft.log().first_index(); i <= raft.log().last_index(); i = i.next())
      words.push_back(text_of(raft.log().at(i).time));
    return joined(words);
  }
  if (name == "log") {
    for (raft::Index i = raft.log().first_index(); i <= raft.log().last_index(); i = i.next())
      words.push_back(fmt::format("{}", raft.log().at(i).term.value));
    return joined(words);
  }
  if (name == "lease") {  // the index that a read must see
    const auto index = raft.leader_lease_index(now);
    return index ? fmt::format("{}", index->value) : "none";
  }
  if (name == "staleness") {
    const auto as_of = raft.fresh_as_of();
    return as_of ? fmt::format("{}ms", (now - *as_of).ms()) : "unknown";
  }
  if (name == "reads") {
    for (const raft::ReadReady& read : server.reads)
      words.push_back(fmt::format("{}@{}", read.id, read.index.value));
    return joined(words);
  }
  return std::nullopt;
}

}  // namespace vesper::golden
