// One Raft core with its disk. The test plays all other servers of the cluster.
#pragma once

#include <doctest/doctest.h>

#include <vector>

#include "raft/entry.hpp"
#include "raft/raft.hpp"

namespace vesper::paper {

using namespace raft;

inline constexpr ServerId k0{0}, k1{1}, k2{2}, k3{3}, k4{4};
inline constexpr Instant kStart{1'000'000'000};

// The entry of the tests' logs at (index, term). Index 1 is the Bootstrap entry.
inline Entry entry_at(std::uint64_t index, std::uint64_t term) {
  return make_entry(Index(index), Term(term), EntryType::command, {}, {}, "x");
}
inline Incarnation incarnation_of(ServerId id) {
  return Incarnation(id.value + 100);
}

inline AppendEntries append(std::uint64_t term, std::uint64_t prev, std::uint64_t prev_term,
                            const std::vector<std::uint64_t>& terms = {},
                            std::uint64_t commit = 0) {
  AppendEntries m{Term(term), Index(prev), Term(prev_term), Index(commit), {}, {}};
  for (const std::uint64_t t : terms) m.entries.push_back(entry_at(++prev, t));
  return m;
}

struct Setup {
  std::uint32_t servers = 3;
  std::vector<std::uint64_t> log = {1};  // terms; the first is the Bootstrap entry's. {}: no log
  std::uint64_t term = 0;                // 0: the term of the last entry
  std::optional<ServerId> voted_for = {};
  std::uint64_t seed = 1;
  Config tuning = {};
  bool alone = false;  // with an empty log: the others have not reported empty logs
};

// The server under test is number 0.
class SoloServer {
 public:
  explicit SoloServer(Setup setup = {}) {
    Config config = setup.tuning;
    config.self = k0;
    config.incarnation = incarnation_of(k0);
    config.seed = setup.seed;
    Configuration configuration{{1, 1}, {}};
    for (std::uint32_t i = 0; i < setup.servers; ++i) {
      config.initial_voters.push_back({ServerId(i), "http://127.0.0.1:1", {}});
      configuration.members.push_back(
          {ServerId(i), "http://127.0.0.1:1", incarnation_of(ServerId(i))});
    }
    RecoveredState durable;
    for (const std::uint64_t term : setup.log) {
      const Index index(durable.entries.size() + 1);
      durable.entries.push_back(index.value > 1
                                    ? entry_at(index.value, term)
                                    : make_entry(index, Term(term), EntryType::bootstrap, {}, {},
                                                 encode_configuration(configuration)));
    }
    durable.commit_index = Index(setup.log.empty() ? 0 : 1);
    durable.hard_state = {Term(setup.term), setup.voted_for};
    if (setup.term == 0 && !setup.log.empty())
      durable.hard_state.current_term = Term(setup.log.back());
    // The core starts so late that its earlier promises have expired.
    raft_.emplace(std::move(config), std::move(durable), kStart - kMaxLeaderLease * 11 / 10);
    std::vector<Event> said;
    if (setup.log.empty() && !setup.alone)
      for (std::uint32_t i = 1; i < setup.servers; ++i)
        said.push_back(PeerSaid{ServerId(i), PeerState{}});
    turn(std::move(said));
  }

  // Takes these members from server 1, which leads term 1, as entry 2, and hears nothing for so
  // long that it may campaign. Requires that entry 1 is of term 1.
  void follow_with(const Configuration& members) {
    AppendEntries m = append(1, 1, 1);
    m.entries.push_back(make_entry(Index(2), Term(1), EntryType::membership, {}, {},
                                   encode_configuration(members)));
    receive(k1, m);
    sync();
    wait(seconds(10));
  }

  // One turn. Afterwards sent() has what left at once, waiting() what waits for the disk.
  void turn(std::vector<Event> events) {
    sent_.clear();
    output_.clear();
    for (Event& event : events) raft_->step(now_, std::move(event), output_);
    raft_->step(now_, EndOfTurn{}, output_);
    take();
  }
  void receive(ServerId from, Message message) {
    turn({Received{from, incarnation_of(from), std::move(message)}});
  }
  // Makes all writes so far durable, and sends what waited for them.
  void sync() { sync_through(raft_->writes().last_write()); }
  void sync_through(WriteNumber number) {
    sent_.clear();
    output_.clear();
    std::vector<HeldEnvelope> kept;
    for (HeldEnvelope& gated : waiting_) {
      if (gated.may_leave(number, number)) sent_.push_back(gated.envelope);
      else kept.push_back(gated);
    }
    waiting_ = kept;
    raft_->step(now_, Persisted{number}, output_);
    raft_->step(now_, EndOfTurn{}, output_);
    take();
  }
  void receive_and_sync(ServerId from, Message message) {
    receive(from, std::move(message));
    const std::vector<Envelope> sent = sent_;
    sync();
    sent_.insert(sent_.begin(), sent.begin(), sent.end());
  }

  void wait(Duration duration) { now_ = now_ + duration; }
  void wait_for_deadline() {
    now_ = std::max(now_, output_.deadline);
    turn({DeadlinePassed{}});
  }

  void become_pre_candidate() { wait_for_deadline(); }
  void become_candidate() {
    become_pre_candidate();
    grant_pre_votes();
  }
  void grant_pre_votes() {
    const Term term = raft_->current_term().next();
    for (std::uint32_t i = 1; raft_->current_term() < term && i < servers(); ++i)
      receive(ServerId(i), VoteReply{raft_->current_term(), term, true, VoteRefusal::none});
  }
  // Makes it win an election with the votes of 1, 2, ... and persist everything.
  void become_leader() {
    become_candidate();
    sync();
    for (std::uint32_t i = 1; !raft_->is_leader() && i < servers(); ++i) vote_for_it(ServerId(i));
    const std::vector<Envelope> sent = sent_;
    sync();
    sent_.insert(sent_.begin(), sent.begin(), sent.end());
    REQUIRE(raft_->is_leader());
  }
  void vote_for_it(ServerId voter) {
    const Term term = raft_->current_term();
    receive(voter, VoteReply{term, term, false, VoteRefusal::none});
  }
  void acknowledge(ServerId from, std::uint64_t index) {
    receive(from, AppendReply{
                      .term = raft_->current_term(), .success = true, .match_index = Index(index)});
  }
  void propose(std::size_t count = 1, std::size_t bytes = 1) {
    Propose propose;
    for (; count > 0; --count)
      propose.proposals.push_back(
          {{k0, BootId(1), ++sequence_}, SharedBytes::copy_of(std::string(bytes, 'p'))});
    turn({std::move(propose)});
  }

  const Raft& raft() const { return *raft_; }
  const Output& output() const { return output_; }
  Instant now() const { return now_; }
  const std::vector<HeldEnvelope>& waiting() const { return waiting_; }
  std::uint32_t servers() const {
    return static_cast<std::uint32_t>(raft_->configuration().members.size());
  }
  template <typename Role>
  bool is() const {
    return std::holds_alternative<Role>(raft_->role());
  }

  // The messages of type M that were sent to a server, in order.
  template <typename M>
  std::vector<M> sent(ServerId to) const {
    std::vector<M> found;
    for (const Envelope& envelope : sent_)
      if (const auto* m = std::get_if<M>(&envelope.message); m != nullptr && envelope.to == to)
        found.push_back(*m);
    return found;
  }
  // The only such message; fails the test unless there is exactly one.
  template <typename M>
  M one(ServerId to) const {
    const std::vector<M> found = sent<M>(to);
    REQUIRE(found.size() == 1);
    return found.front();
  }
  std::vector<std::uint64_t> terms() const {
    std::vector<std::uint64_t> terms;
    for (Index i(1); i <= raft_->log().last_index(); i = i.next())
      terms.push_back(raft_->log().at(i).term.value);
    return terms;
  }

 private:
  void take() {
    for (const Envelope& envelope : output_.send_now) sent_.push_back(envelope);
    for (const HeldEnvelope& gated : output_.send_after) waiting_.push_back(gated);
  }

  std::optional<Raft> raft_;
  Output output_;
  std::vector<Envelope> sent_;
  std::vector<HeldEnvelope> waiting_;
  std::uint64_t sequence_ = 0;
  Instant now_ = kStart;
};

inline VoteRequest vote(std::uint64_t term, std::uint64_t index, std::uint64_t log_term) {
  return {Term(term), false, Index(index), Term(log_term), {1, 1}};
}
inline VoteRequest pre_vote(std::uint64_t term, std::uint64_t index, std::uint64_t log_term) {
  return {Term(term), true, Index(index), Term(log_term), {1, 1}};
}
inline Heartbeat heartbeat(std::uint64_t term, std::uint64_t commit = 0, std::uint64_t round = 1) {
  return {Term(term), Index(commit), {}, round};
}

using Terms = std::vector<std::uint64_t>;

}  // namespace vesper::paper
