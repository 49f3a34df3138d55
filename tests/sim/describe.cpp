#include "sim/describe.hpp"

#include <fmt/core.h>

#include <concepts>

namespace vesper::sim {
namespace {

struct Describe {
  std::string operator()(const raft::VoteRequest& m) const {
    return fmt::format("{} for term {}, log ends at {} of term {}",
                       m.pre_vote ? "pre-vote" : "vote", m.term.value, m.last_log_index.value,
                       m.last_log_term.value);
  }
  std::string operator()(const raft::VoteReply& m) const {
    return fmt::format("{} for term {}: {} (refusal {}), in term {}",
                       m.pre_vote ? "pre-vote" : "vote", m.for_term.value,
                       m.granted() ? "yes" : "no", static_cast<int>(m.refusal), m.term.value);
  }
  std::string operator()(const raft::AppendEntries& m) const {
    return fmt::format("append in term {}: {} entries after {} of term {}, committed {}",
                       m.term.value, m.entries.size(), m.prev_log_index.value,
                       m.prev_log_term.value, m.leader_commit.value);
  }
  std::string operator()(const raft::AppendReply& m) const {
    if (m.success)
      return fmt::format("appended up to {} in term {}", m.match_index.value, m.term.value);
    return fmt::format("append after {} refused in term {}, hint {} of term {}",
                       m.prev_log_index.value, m.term.value, m.hint_index.value, m.hint_term.value);
  }
  std::string operator()(const raft::Heartbeat& m) const {
    return fmt::format("heartbeat {} in term {}, committed {}", m.round, m.term.value,
                       m.leader_commit.value);
  }
  std::string operator()(const raft::HeartbeatReply& m) const {
    return fmt::format("heartbeat {} answered in term {}, received up to {}", m.round, m.term.value,
                       m.received_index.value);
  }
  std::string operator()(const raft::ReadIndexRequest& m) const {
    return fmt::format("read {} in term {}", m.id, m.term.value);
  }
  std::string operator()(const raft::ReadIndexReply& m) const {
    return fmt::format("read {} at {} in term {}", m.id, m.read_index.value, m.term.value);
  }
  std::string operator()(const raft::InstallSnapshot& m) const {
    return fmt::format("snapshot at {} in term {}: {} {}", m.snapshot.last_index.value,
                       m.term.value, m.data.empty() ? "asks for progress" : "chunk", m.chunk);
  }
  std::string operator()(const raft::InstallSnapshotReply& m) const {
    if (m.done)
      return fmt::format("snapshot at {} done in term {}, log matches up to {}", m.last_index.value,
                         m.term.value, m.match_index.value);
    return fmt::format("snapshot at {} in term {}: next is chunk {}", m.last_index.value,
                       m.term.value, m.next_chunk);
  }
  std::string operator()(const raft::TimeoutNow& m) const {
    return fmt::format("take over from term {}", m.term.value);
  }
  std::string operator()(const node::TransferAsked& m) const {
    return fmt::format("hand over in term {}{}", m.term.value,
                       m.to ? fmt::format(" to server {}", m.to->value) : "");
  }
  std::string operator()(const node::TransferRefused& m) const {
    return fmt::format("no transfer for this client in term {}", m.term.value);
  }
  std::string operator()(const node::DigestAsked& m) const {
    return fmt::format("report the digest after entry {} in term {}", m.index.value, m.term.value);
  }
  std::string operator()(const node::DigestReply& m) const {
    return fmt::format("the digest after entry {} is {}", m.index.value, to_hex(m.digest));
  }
  std::string operator()(const node::MembersAsked& m) const {
    return fmt::format("change the members in term {}, question {}", m.term.value, m.number);
  }
  std::string operator()(const node::MembersReply& m) const {
    const auto* appended = std::get_if<node::MembersAppended>(&m.outcome);
    return fmt::format(
        "change of the members, question {}: {}", m.number,
        appended == nullptr ? "refused" : fmt::format("entry {}", appended->index.value));
  }
  std::string operator()(const node::ClusterAsked& m) const {
    return fmt::format("report the members in term {}, question {}", m.term.value, m.number);
  }
  std::string operator()(const node::ClusterReply& m) const {
    return fmt::format("the members, question {}: configuration {}", m.number,
                       m.view.configuration.index.value);
  }
  std::string operator()(const node::TraceAsked&) const { return "report the trace"; }
  std::string operator()(const node::TraceHeard& m) const {
    return fmt::format("{} events of the trace", m.events.size());
  }
  // Not for what merely converts to it: a message without a text of its own does not compile.
  template <std::same_as<raft::Message> M>
  std::string operator()(const M& m) const {
    return std::visit(*this, m);
  }
  std::string operator()(const node::Forward& m) const {
    return fmt::format("forward for term {}: {} writes after {}", m.term.value, m.writes.size(),
                       m.previous);
  }
  std::string operator()(const node::ForwardReply& m) const {
    return fmt::format("forwarded for term {} up to {}{}", m.term.value, m.accepted,
                       m.gap ? ", then a gap" : "");
  }
};

}  // namespace

std::string describe(const node::PeerMessage& message) {
  return std::visit(Describe{}, message);
}

}  // namespace vesper::sim
