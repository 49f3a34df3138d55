// Clients' requests to change the members (raft/membership.hpp), from the question to the leader up
// to the answer. The leader decides and appends; each server sees in its own log what became of the
// change that its clients asked for.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "node/ports.hpp"
#include "raft/raft.hpp"

namespace vesper::node {

using MembersOutcome = decltype(MembersReply::outcome);

class MemberRequests {
 public:
  struct Question {
    std::uint64_t number = 0;
    const raft::MembersRequest& request;  // valid until the next call
    const std::optional<kv::Identity>& identity;
  };
  struct Answer {
    Ticket ticket;
    ClientReply reply;
  };
  struct Ended {
    Ticket ticket;
    Refusal why;
  };

  // A question without an answer is repeated after `interval`.
  explicit MemberRequests(Duration interval) : interval_(interval) {}

  // Returns false if too many requests wait.
  [[nodiscard]] bool add(ClientMembers request, Instant now);
  // The question for the leader of `term` that is due, if any. There is one at a time, so that the
  // leader has to remember one answer for each server.
  std::optional<Question> ask(raft::Term term, Instant now);
  // The answer to question `number`. Late answers have no effect.
  void on_reply(std::uint64_t number, MembersOutcome outcome, Instant now);
  // Removes the requests that have ended, and returns their answers.
  std::vector<Answer> take_answers(const raft::Raft& raft, Instant now);
  // The client has disconnected. A change that was asked for goes on.
  void leave(std::uint64_t connection);
  // Removes every request.
  std::vector<Ended> clear();

  bool is_idle() const { return requests_.empty(); }
  // When ask() or take_answers() has something to do. kNever: not before another input.
  Instant deadline(std::optional<raft::ServerId> leader) const;

 private:
  // waiting: in no log. asked: the leader of Request::term may have appended it. appended: at
  // Request::index in Request::term. in_log: that entry is committed. begun: the first step is
  // done.
  enum class Stage : std::uint8_t { waiting, asked, appended, in_log, begun };
  struct Request {
    ClientMembers wanted;
    Stage stage = Stage::waiting;
    std::uint64_t number = 0;  // of its latest question
    raft::Term term;
    raft::Index index;
    std::optional<ClientReply> refused;  // the leader's refusal
  };
  static std::optional<ClientReply> answer(Request& request, const raft::Raft& raft, Instant now);
  static std::optional<Refusal> check_log(Request& request, const raft::Raft& raft);
  static MembersResult result_of(const Request& request, const raft::Configuration& committed);

  const Duration interval_;
  std::vector<Request> requests_;
  std::uint64_t last_number_ = 0;
  Instant ask_at_;
};

// The leader's last answer to each server, so that it carries out a repeated question once.
class MemberAnswers {
 public:
  // What to do with a question: to answer it with `outcome`, or, without one, to carry it out.
  struct Known {
    bool is_outdated = false;  // a newer question of the same process was answered: ignore it
    const MembersOutcome* outcome = nullptr;  // null: it is new
  };
  Known find(raft::ServerId from, const MembersAsked& asked) const;
  void remember(raft::ServerId from, const MembersAsked& asked, MembersOutcome outcome);

 private:
  struct Entry {
    raft::ServerId from;
    raft::Term term;
    raft::BootId boot;
    std::uint64_t number = 0;
    MembersOutcome outcome;
  };
  std::vector<Entry> entries_;  // the newest last
};

}  // namespace vesper::node
