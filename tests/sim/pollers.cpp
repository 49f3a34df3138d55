// Clients that poll: each asks for what has changed since a revision, waits for the answer, and
// goes on at the same or another server. polls.hpp judges the answers.
#include <algorithm>

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kPollers = 3;
constexpr std::int64_t kWorldsWithPolls = 40;  // in a hundred

PollCheck::Server server_of(const node::Node& node) {
  const kv::Keyspace& keyspace = node.store().keyspace();
  return {keyspace.revision(), keyspace.oldest_revision(), node.counters().snapshots_installed};
}

}  // namespace

// Draws from numbers of its own, and adds clients after the plain ones, so that all other worlds
// are what they were without polls. A world without clients has no pollers either, so that making
// it smaller removes them.
void World::begin_pollers() {
  Prng random(options_.seed * 64 + 43);
  if (!chance(random, kWorldsWithPolls) || plan_.clients == 0) return;
  for (std::size_t n = 0; n < kPollers; ++n) {
    clients_.emplace_back();
    Client& client = clients_.back();
    client.random = Prng(options_.seed * 64 + 44 + n);
    client.polls = true;
    after(between(client.random, {}, milliseconds(300)), ClientStep{clients_.size() - 1});
  }
}

void World::poll_step(Client& client) {
  if (client.poll) {
    if (!chance(client.random, 5)) return;
    Operation operation;  // it has to wait for the poll
    operation.key = "k0";
    return ask(client, std::move(operation));
  }
  if (!client.open.empty()) return;
  if (!client.again.empty()) {
    Operation operation = std::move(client.again.front());
    client.again.pop_front();
    return ask(client, std::move(operation));
  }
  // Usually the range that the last poll had, since what the client has seen.
  if (!client.polled || chance(client.random, 30)) client.polled = invent_polled(client);
  Operation operation = *client.polled;
  operation.invoked = (now_ - kBegin).ns;
  choose_read(client, operation);
  Operation::Wait& wait = operation.wait.emplace();
  const std::int64_t dice = client.random.between(1, 100);
  if (dice <= 75) wait.since = client.highest;
  else if (dice <= 90) wait.since = draw_revision(client);
  const std::int64_t length = client.random.between(1, 100);
  const std::int64_t most = length <= 20 ? 20 : length <= 75 ? 800 : 3'000;
  wait.lasts = milliseconds(client.random.between(1, most)).ns;
  ask(client, std::move(operation));
}

std::shared_ptr<const node::ChangeWait> World::wait_at(Client& client, const Host& h,
                                                       const Operation& operation,
                                                       Duration patience) {
  const Span span =
      operation.kind == Operation::Kind::get ? Span::of_key(operation.key) : operation.act.span;
  const Operation::Wait& wait = *operation.wait;
  const Instant until = h.clock.read(now_) + nanoseconds(wait.lasts);
  // Pages of ranges are read a few keys at a time, one page after the other, while clocks jump.
  const std::size_t turns = operation.kind == Operation::Kind::get ? 0 : 200;
  client.poll.emplace(PollCheck::Asked{span, wait.since, until.ns, patience.ns, turns});
  client.poll_request = operation.request;
  tally_.count(Count::polls);
  return std::make_shared<const node::ChangeWait>(
      node::ChangeWait{{span.start, span.end}, wait.since, until});
}

void World::begin_turn_of_polls(const Host& h) {
  for (Client& client : clients_)
    if (client.poll && client.host == h.number()) client.poll->begin_turn(server_of(*h.node));
}

void World::end_turn_of_polls(const Host& h) {
  const Instant local = h.clock.read(now_);
  for (Client& client : clients_)
    if (client.poll && client.host == h.number())
      check(client.poll->end_turn(history_.model(), server_of(*h.node), local.ns));
}

void World::on_poll_answered(Client& client, const node::ReadResult& read) {
  const auto answer = read.unchanged ? PollCheck::Answer::unchanged : PollCheck::Answer::state;
  check(client.poll->answered(history_.model(), answer, read.revision));
  tally_.count(read.unchanged                ? Count::polls_unchanged
               : client.poll->is_compacted() ? Count::polls_compacted
               : client.poll->came_late()    ? Count::polls_late
                                             : Count::polls_woken);
}

// The time for the read begins when the wait ends.
void World::on_poll_refused(const Client& client, node::Refusal why) {
  tally_.count(Count::polls_refused);
  if (why == node::Refusal::timeout && !client.poll->is_due())
    fail("V5: a long poll times out before it is due");
}

}  // namespace vesper::sim
