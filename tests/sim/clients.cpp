// Clients that behave like real programs. Each has a connection to one server, sends requests on
// it, some of them pipelined, retries refused requests elsewhere, and records every reply for the
// checks.
#include <algorithm>

#include "base/checksum.hpp"
#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::int64_t kKeys = 8;
constexpr std::int64_t kAccessActs = 6;  // in a hundred requests of a world with tokens

node::ReadOptions options_of(const Operation& operation) {
  node::ReadOptions options;
  if (operation.level == Operation::Level::lease) options.level = node::ReadLevel::lease;
  if (operation.level == Operation::Level::stale) options.level = node::ReadLevel::stale;
  if (operation.max_staleness) options.max_staleness = nanoseconds(*operation.max_staleness);
  options.min_revision = operation.min_revision;
  return options;
}

}  // namespace

bool World::connect(Client& client) {
  if (client.is_plain()) {
    client.host = static_cast<std::size_t>(
        client.random.between(0, static_cast<std::int64_t>(hosts_.size()) - 1));
  }
  const Host& h = host(client.host);
  client.connection = h.up() && !h.stopping ? ++connections_ : 0;
  return client.connection != 0;
}

// Creates a random request. A revision that never exists makes the bytes of each delete unique; a
// value that is used once does the same for each put.
Operation World::invent(Client& client) {
  Prng& random = client.random;
  const std::int64_t which = random.between(1, 100);
  if (which <= 22) return invent_timed(client);
  if (which <= 53) return invent_more(client);
  Operation operation;
  // 40 % of the requests use one hot key.
  operation.key = fmt::format("k{}", chance(random, 40) ? 0 : random.between(1, kKeys - 1));
  operation.invoked = (now_ - kBegin).ns;
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 30) {
    choose_read(client, operation);
    return operation;
  }
  operation.kind = dice <= 80 ? Operation::Kind::put : Operation::Kind::remove;
  const std::uint64_t nonce = kNonce + ++values_;
  if (operation.kind == Operation::Kind::put) {
    operation.json = chance(random, 20);
    operation.value = operation.json ? fmt::format("[{}]", values_) : fmt::format("v{}", values_);
    // With slow links, enough bytes to fill them.
    const std::int64_t small = plan_.has(FaultKind::narrow) ? 70 : 92;
    if (const std::int64_t size = random.between(1, 100); size > small && !operation.json)
      operation.value.resize(
          static_cast<std::size_t>(random.between(100, size > 99 ? 30'000 : 2'000)), '.');
  }
  const auto known = client.revisions.find(operation.key);
  const std::uint64_t revision = known == client.revisions.end() ? 1 : known->second;
  switch (random.between(0, 6)) {
    case 0: operation.if_match = Expectation{false, {revision}}; break;
    case 1: operation.if_match = Expectation{true, {}}; break;
    case 2: operation.if_none_match = Expectation{true, {}}; break;
    case 3:
      operation.if_match = Expectation{false, {nonce, revision}};
      operation.if_none_match = Expectation{false, {revision + 1}};
      break;
    default: break;
  }
  if (operation.kind == Operation::Kind::remove) {
    // A delete with If-None-Match: * would never delete anything.
    operation.if_none_match = Expectation{false, {nonce}};
  }
  if (chance(random, 45)) {
    operation.token = fmt::format("t{}", values_);
    operation.body = values_;
  }
  return operation;
}

// Retries like real programs do: until the outcome is known, some at two servers at once, some long
// after the reply. Some reuse the idempotency key for another request by mistake.
void World::ask_keyed(Client& client, Operation operation) {
  Prng& random = client.random;
  client.keyed.push_back(operation);
  if (client.keyed.size() > 6) client.keyed.pop_front();
  if (chance(random, 12)) {
    const auto other = random.between(0, static_cast<std::int64_t>(plan_.clients) - 1);
    retry(clients_[static_cast<std::size_t>(other)], operation);
  }
  if (chance(random, 6)) {
    Operation another = operation;
    another.kind = Operation::Kind::put;
    if (another.key.empty()) another.key = "k0";
    another.value = fmt::format("r{}", ++values_);
    another.json = false;
    another.fence.reset();
    another.body = values_;
    retry(client, std::move(another));
  }
  ask(client, std::move(operation));
}

// Repeats the request at the client's next step, on the same server or another.
void World::retry(Client& client, Operation operation) {
  if (client.again.size() < 4) client.again.push_back(std::move(operation));
}

void World::choose_read(Client& client, Operation& operation) {
  using Level = Operation::Level;
  Prng& random = client.random;
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 25) operation.level = Level::stale;
  else if (dice <= 60 && plan_.leader_leases) operation.level = Level::lease;
  if (operation.level == Level::stale && chance(random, 40))
    operation.max_staleness = milliseconds(random.between(1, 400)).ns;
  // Read-your-writes on any server, sometimes with a slightly higher revision.
  if (chance(random, 20))
    operation.min_revision =
        client.highest + static_cast<std::uint64_t>(chance(random, 30) ? random.between(1, 3) : 0);
}

void World::ask(Client& client, Operation operation) {
  // A retry has the token of the first attempt.
  if (plan_.tokens && !std::exchange(operation.has_chosen, true))
    operation.who = client.is_plain() ? credentials_.draw(client.random) : credentials_.root();
  Host& h = host(client.host);
  const node::Ticket ticket{client.connection, client.next_request++};
  operation.connection = ticket.connection;
  operation.request = ticket.request;
  operation.invoked = (now_ - kBegin).ns;
  tally_.count(Count::operations);
  const Duration patience = milliseconds(client.random.between(300, 2'500));
  const Instant deadline = h.clock.read(now_) + patience;
  trace("client {}.{} asks server {}: {} {} '{}'", ticket.connection, ticket.request, client.host,
        name_of(operation.kind), operation.key, operation.value.substr(0, 20));
  if (operation.is_read()) {
    if (h.node) operation.log_time = h.node->raft().log_time(h.clock.read(now_)).value;
    node::ClientRead read{ticket, query_of(operation), deadline, options_of(operation)};
    read.identity = identity_of(operation.who);
    if (operation.wait) read.wait = wait_at(client, h, operation, patience);
    client.open[ticket.request] = history_.invoke(std::move(operation), 0);
    return post(h, std::move(read));
  }
  std::shared_ptr<const node::LockWait> wait;
  if (operation.kind == Operation::Kind::claim) wait = claim_at(h, operation);
  const std::string command = command_of(operation);
  client.open[ticket.request] = history_.invoke(std::move(operation), checksum64(command));
  post(h, node::ClientWrite{ticket, SharedBytes::copy_of(command), deadline, std::move(wait)});
}

// Asks for another leader. Not part of the history: the leaders themselves show the outcome.
void World::ask_transfer(Client& client) {
  Host& h = host(client.host);
  const node::Ticket ticket{client.connection, client.next_request++};
  std::optional<raft::ServerId> to;
  const Roster* const roster = safety_.roster();
  if (!client.mover && roster != nullptr && chance(client.random, 60))
    to = raft::ServerId(roster
                            ->members[static_cast<std::size_t>(client.random.between(
                                0, static_cast<std::int64_t>(roster->members.size()) - 1))]
                            .number);
  std::optional<Who> who;
  if (plan_.tokens) who = client.mover ? credentials_.root() : credentials_.draw(client.random);
  tally_.count(Count::transfers_asked);
  trace("client {}.{} asks server {} for a transfer{}", ticket.connection, ticket.request,
        client.host, to ? fmt::format(" to {}", to->value) : "");
  client.transfers[ticket.request] = to;
  post(h,
       node::ClientTransfer{ticket, to, h.clock.read(now_) + milliseconds(800), identity_of(who)});
}

void World::client_step(std::size_t c) {
  Client& client = clients_[c];
  if (client.loader) return load_step(c);
  if (client.drills) return drill_step(c);
  if (client.mover) {
    if (moved_) return;
    after(between(client.random, milliseconds(5), milliseconds(40)), ClientStep{c});
    return move_step(client);
  }
  if (client.probe ? client.satisfied() : !faulty_) return;
  const Duration most = client.probe ? milliseconds(100)
                        : hanging_   ? seconds(10)
                                     : plan_.client_gap_max;
  after(between(client.random, milliseconds(5), most), ClientStep{c});
  if (lull_ || (client.probe && !client.open.empty())) return;
  client.served = 0;
  if (client.connection != 0 && chance(client.random, hanging_ ? 40 : 4)) hang_up(client);
  if (client.connection == 0 && !connect(client)) return;
  if (client.probe) {
    Operation operation;
    operation.key = "probe";
    ask(client, operation);
    operation.kind = Operation::Kind::put;
    operation.value = fmt::format("p{}", ++values_);
    return ask(client, std::move(operation));
  }
  if (client.polls) return poll_step(client);
  if (chance(client.random, 2)) ask_transfer(client);
  if (chance(client.random, 3)) {
    client.reads_on = client.random.between(50, 300);
    at(now_, Poke{c, false, true});
  }
  if (!client.again.empty()) {
    Operation operation = std::move(client.again.front());
    client.again.pop_front();
    return ask(client, std::move(operation));
  }
  if (!client.keyed.empty() && chance(client.random, 6)) {
    const auto old = client.random.between(0, static_cast<std::int64_t>(client.keyed.size()) - 1);
    return ask(client, client.keyed[static_cast<std::size_t>(old)]);
  }
  // Sometimes several requests at once, like a pipelining client.
  const std::int64_t burst = chance(client.random, 20) ? client.random.between(2, 8) : 1;
  for (std::int64_t n = 0; n < burst; ++n) {
    Operation operation =
        plan_.tokens && chance(client.random, kAccessActs)
            ? credentials_.invent(client.random, history_.model(), plan_.disables_tokens, ++values_)
            : invent(client);
    if (operation.token.empty()) ask(client, std::move(operation));
    else ask_keyed(client, std::move(operation));
  }
}

// For the moments when a leader has been deposed and does not know it: all clients read and write
// the same key, so that a stale reply is noticed.
void World::excite() {
  for (std::size_t c = 0; c < plan_.clients; ++c)
    for (std::int64_t n = clients_[c].random.between(3, 8); n > 0; --n)
      after(between(clients_[c].random, {}, milliseconds(chance(faults_, 50) ? 120 : 700)),
            Poke{c});
}

void World::poke(const Poke& poke) {
  Client& client = clients_[poke.client];
  if (!faulty_ || (client.connection == 0 && !connect(client))) return;
  Operation operation;
  operation.key = "k0";
  if (poke.reads_on) {
    if (client.reads_on == 0) return;
    --client.reads_on;
  } else if (poke.leader_lease) {
    operation.level = Operation::Level::lease;
  } else if (chance(client.random, 50)) {
    operation.kind = Operation::Kind::put;
    operation.value = fmt::format("v{}", ++values_);
  } else {
    choose_read(client, operation);
    if (plan_.leader_leases && chance(client.random, 50)) operation.level = Operation::Level::lease;
    if (operation.level == Operation::Level::lease) operation.max_staleness.reset();
  }
  ask(client, std::move(operation));
}

// A retry with the same idempotency key can find out the outcome.
void World::give_up(Client& client, std::size_t operation) {
  const Operation& asked = history_.operation(operation);
  if (!asked.token.empty() && chance(client.random, 75)) retry(client, asked);
}

// The client never learns the outcome of its open requests.
void World::forget(Client& client) {
  for (const auto& [request, operation] : client.open) {
    history_.unknown(operation);
    give_up(client, operation);
  }
  client.open.clear();
  client.poll.reset();
  client.transfers.clear();
  client.connection = 0;
}

void World::hang_up(Client& client) {
  post(host(client.host), node::ClientGone{client.connection});
  forget(client);
}

void World::connections_lost(const Host& h) {
  for (Client& client : clients_) {
    if (client.host != h.number()) continue;
    forget(client);
  }
}

void World::on_reply(Host& h, const node::Ticket& ticket, node::ClientReply& reply) {
  mix(ticket.connection * 1'000'003 + ticket.request);
  if (is_operator(ticket)) return on_members_reply(ticket, reply);
  for (Client& client : clients_) {
    if (client.connection != ticket.connection || client.host != h.number()) continue;
    if (client.transfers.contains(ticket.request)) return on_transferred(client, ticket, reply);
    const auto at = client.open.find(ticket.request);
    if (at == client.open.end()) return fail("a request was answered twice");
    const std::size_t operation = at->second;
    client.open.erase(at);
    const bool ends_poll = client.poll && client.poll_request == ticket.request;
    if (client.poll && !ends_poll && !std::holds_alternative<node::Refusal>(reply))
      return fail("T7: a request overtakes the long poll before it");
    on_answer(client, ticket, operation, reply);
    if (ends_poll) client.poll.reset();
    return;
  }
}

// The named server was elected in that term, and is the requested one.
void World::on_transferred(Client& client, const node::Ticket& ticket,
                           const node::ClientReply& reply) {
  const auto to = client.transfers.extract(ticket.request).mapped();
  const auto* done = std::get_if<node::TransferResult>(&reply);
  trace("client {}.{}: transfer {}", ticket.connection, ticket.request,
        done != nullptr ? "done" : "refused");
  const Roster* const roster = safety_.roster();
  if (done == nullptr && voters_ > 1 && !plan_.has(FaultKind::members) && roster != nullptr &&
      std::get<node::Refusal>(reply) == node::Refusal::no_other_member)
    return fail("K11: a transfer was refused as in a cluster of one");
  if (done == nullptr) {
    if (client.mover) move_elsewhere(client);
    return;
  }
  tally_.count(Count::transfers_done);
  if (client.mover && !std::exchange(moved_, true)) tally_.count(Count::hand_overs_in_the_calm);
  if (to && *to != done->leader)
    return fail("K11: leadership went to a different server than requested");
  // By its number: the disk is known once a log has named it.
  const Roster::Member* const member =
      roster == nullptr ? nullptr : roster->with_number(done->leader.value);
  const auto disk = member == nullptr ? std::nullopt : safety_.server_of(member->incarnation);
  if (disk) check(safety_.leads(*disk, done->term.value));
}

void World::on_answer(Client& client, const node::Ticket& ticket, std::size_t operation,
                      node::ClientReply& reply) {
  const Operation& asked = history_.operation(operation);
  if (const auto* refusal = std::get_if<node::Refusal>(&reply)) {
    trace("client {}.{} is refused ({})", ticket.connection, ticket.request,
          static_cast<int>(*refusal));
    if (*refusal == node::Refusal::outcome_unknown) {
      tally_.count(Count::unknown_outcomes);
      history_.unknown(operation);
      return give_up(client, operation);
    }
    tally_.count(Count::refused);
    if (asked.wait) on_poll_refused(client, *refusal);
    if (*refusal == node::Refusal::unauthorized) {
      tally_.count(Count::reads_unauthorized);
      if (!plan_.tokens) fail("A2: a read is refused although no client needs a token");
    }
    if (*refusal == node::Refusal::too_stale) {
      tally_.count(Count::too_stale);
      if (!asked.max_staleness) fail("K8: too stale for a read that sets no limit");
    } else if (chance(client.random, 50)) {
      retry(client, asked);
    }
    check(history_.refused(operation));
    // Another server may have a leader.
    if (chance(client.random, 50) && client.open.empty()) hang_up(client);
    return;
  }
  tally_.count(Count::answered);
  ++client.served;
  const std::int64_t now = (now_ - kBegin).ns;
  if (auto* read = std::get_if<node::ReadResult>(&reply)) {
    trace("client {}.{} reads at revision {}", ticket.connection, ticket.request, read->revision);
    return on_read(client, operation, *read);
  }
  const auto& written = std::get<kv::WriteResult>(reply);
  trace("client {}.{} has written at revision {}{}", ticket.connection, ticket.request,
        written.revision, written.replayed ? ", earlier" : "");
  Outcome outcome = outcome_of(asked, written);
  count_outcome(asked, outcome);
  if (outcome.kind == Outcome::Kind::unauthorized || outcome.kind == Outcome::Kind::forbidden)
    --client.served;
  if (outcome.replayed) tally_.count(Count::writes_replayed);
  if (outcome.kind == Outcome::Kind::reused) tally_.count(Count::idempotency_keys_reused);
  else if (outcome.kind == Outcome::Kind::full) refused_full(client, asked);
  else if (!outcome.replayed && outcome.kind <= Outcome::Kind::failed)
    client.revisions[asked.key] = outcome.current_revision;
  client.highest = std::max(client.highest, written.revision);
  if (asked.kind == Operation::Kind::claim) on_claim(client, asked, written);
  if (options_.plant && tally_.of(Count::answered) > 20) ++outcome.revision;
  check(history_.wrote(operation, outcome, now));
}

void World::on_read(Client& client, std::size_t operation, node::ReadResult& read) {
  const Operation& asked = history_.operation(operation);
  client.highest = std::max(client.highest, read.revision);
  if (asked.min_revision > 0) tally_.count(Count::reads_from_revision);
  if (asked.level != Operation::Level::stale && read.level == node::ReadLevel::stale)
    return fail("K8: a stale read that nobody asked for");
  Host& h = host(client.host);
  observe_read(h, asked, read);
  judge_overdue(h, asked, read);
  if (client.reads_on > 0)
    at(now_, Poke{static_cast<std::size_t>(&client - clients_.data()), false, true});
  const std::int64_t now = (now_ - kBegin).ns;
  const std::optional<Age> age = age_of(h, read);
  if (asked.wait) on_poll_answered(client, read);
  else if (read.unchanged) return fail("V4: a read that waits for nothing is told of no change");
  if (read.unchanged) return check(history_.read_unchanged(operation, read.revision, now, age));
  if (asked.kind == Operation::Kind::get) {
    const kv::Version* found = std::get<node::KeyFound>(read.content).version.get();
    if (found != nullptr) client.revisions[asked.key] = found->revision();
    return check(history_.read(operation, seen_of(found), read.revision, now, age));
  }
  check(history_.read_more(operation, text_of(read.content, asked.key), read.revision, now, age));
  if (failure_) return;
  if (auto* page = std::get_if<node::RangeFound>(&read.content))
    return on_page(client, asked, *page);
  if (auto* stream = std::get_if<node::StreamFound>(&read.content))
    return on_stream(client, asked, *stream);
  if (const auto* other = std::get_if<node::RevisionUnreadable>(&read.content)) {
    if (asked.counted) tally_.count(Count::pages_compacted);
    return tally_.count(other->future ? Count::reads_of_the_future : Count::reads_compacted);
  }
  if (asked.kind == Operation::Kind::history) tally_.count(Count::histories);
  else if (asked.kind == Operation::Kind::past) tally_.count(Count::reads_of_the_past);
  else tally_.count(Count::transactions_that_read);
}

void World::count_outcome(const Operation& asked, const Outcome& outcome) {
  using Kind = Outcome::Kind;
  switch (outcome.kind) {
    case Kind::not_an_integer: return tally_.count(Count::not_integers);
    case Kind::out_of_range: return tally_.count(Count::sums_out_of_range);
    case Kind::reply_too_large: return tally_.count(Count::replies_too_large);
    case Kind::compacted: return tally_.count(Count::writes_compacted);
    case Kind::future: return tally_.count(Count::writes_of_the_future);
    case Kind::conflict: return tally_.count(Count::conflicts);
    case Kind::not_found: return tally_.count(Count::values_to_keep_absent);
    case Kind::quota: return tally_.count(Count::writes_over_quota);
    case Kind::no_lease: return tally_.count(Count::leases_not_found);
    case Kind::busy: return tally_.count(Count::locks_busy);
    case Kind::lost: return tally_.count(Count::locks_lost);
    case Kind::fenced: return tally_.count(Count::writes_fenced);
    case Kind::table_limit: return tally_.count(Count::tables_at_limit);
    case Kind::unauthorized: return tally_.count(Count::writes_unauthorized);
    case Kind::forbidden: return tally_.count(Count::writes_forbidden);
    case Kind::enabled_already:
    case Kind::token_exists:
    case Kind::no_token: return;
    case Kind::value_too_large:
    case Kind::range_too_large: return fail("a write was too large");
    case Kind::put:
    case Kind::removed:
    case Kind::absent:
    case Kind::failed:
    case Kind::reused:
    case Kind::full: return;
    case Kind::done: break;
  }
  if (asked.fence) tally_.count(Count::writes_within_fence);
  if (asked.kind == Operation::Kind::claim) return;
  if (asked.kind == Operation::Kind::access) {
    if (asked.access.kind == AccessAct::Kind::revoke) tally_.count(Count::tokens_revoked);
    return tally_.count(Count::token_changes);
  }
  if (asked.kind == Operation::Kind::compact) return tally_.count(Count::compactions_by_hand);
  if (asked.kind == Operation::Kind::txn) {
    if (outcome.text.find("txn(", 1) != std::string::npos) tally_.count(Count::transactions_nested);
    return tally_.count(Count::transactions);
  }
  if (asked.act.kind == Act::Kind::restore) return tally_.count(Count::restores);
  if (asked.act.kind == Act::Kind::remove) return tally_.count(Count::range_deletes);
  if (asked.act.kind != Act::Kind::put) tally_.count(Count::atomic_operations);
}

// The key was not kept: a retry is refused again or carried out.
void World::refused_full(Client& client, const Operation& asked) {
  tally_.count(Count::idempotency_refused_full);
  if (chance(client.random, 40)) retry(client, asked);
}

// The instant that a stale read names, if clocks meet the assumptions.
std::optional<Age> World::age_of(const Host& h, const node::ReadResult& read) const {
  if (!read.staleness) return std::nullopt;
  Age age{read.staleness->ns, std::nullopt};
  if (plan_.leader_leases) age.as_of = (now_ - kBegin).ns - h.clock.in_world(*read.staleness).ns;
  return age;
}

}  // namespace vesper::sim
