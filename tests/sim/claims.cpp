// Clients that use what ends by itself: keys with a time to live, leases, locks and elections, and
// fenced writes. Some renew in time, some too late, some never; some go on writing
// long after they have lost a lock.
#include <algorithm>

#include "sim/translate.hpp"
#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kRemembered = 6;

}  // namespace

// Short, so that much ends within a world; each is another one, which makes commands unique.
std::int64_t World::draw_ttl(Prng& random) {
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 2) return INT64_MAX / 2;  // beyond the log's time: never
  const Duration most = milliseconds(dice <= 50 ? 400 : dice <= 85 ? 1'500 : 4'000);
  return random.between(milliseconds(dice <= 10 ? 1 : 40).ns, most.ns);
}

std::uint64_t World::draw_lease(Prng& random) {
  if (leases_.empty() || chance(random, 5)) return static_cast<std::uint64_t>(random.between(1, 9));
  // Usually one of the newest.
  const auto last = static_cast<std::int64_t>(leases_.size()) - 1;
  const std::int64_t at = chance(random, 60) ? last : random.between(0, last);
  return leases_[static_cast<std::size_t>(at)];
}

// Usually the lock that the client was granted last.
Fence World::draw_hold(Client& client) {
  Prng& random = client.random;
  const Client& whose = chance(random, 85) ? client
                                           : clients_[static_cast<std::size_t>(random.between(
                                                 0, static_cast<std::int64_t>(plan_.clients) - 1))];
  if (whose.holds.empty()) {
    const Space space = chance(random, 50) ? Space::locks : Space::elections;
    return {{space, fmt::format("l{}", random.between(0, 2))}, draw_revision(client), true};
  }
  const auto last = static_cast<std::int64_t>(whose.holds.size()) - 1;
  const std::int64_t at = chance(random, 75) ? last : random.between(0, last);
  return whose.holds[static_cast<std::size_t>(at)];
}

Claim World::draw_claim(Client& client) {
  Prng& random = client.random;
  Claim claim;
  const std::int64_t dice = random.between(1, 100);
  claim.ttl = draw_ttl(random);
  if (dice <= 30) {
    claim.kind = dice <= 13   ? Claim::Kind::grant
                 : dice <= 25 ? Claim::Kind::renew_lease
                              : Claim::Kind::end_lease;
    claim.number = draw_lease(random);
    claim.most = static_cast<std::uint64_t>(chance(random, 15) ? random.between(0, 4) : 100'000);
  } else if (dice <= 70) {
    claim.kind = Claim::Kind::acquire;
    // A lock and an election may be called alike.
    claim.lock.space = chance(random, 60) ? Space::locks : Space::elections;
    claim.lock.name = fmt::format("l{}", chance(random, 60) ? 0 : random.between(1, 2));
    if (chance(random, 75)) claim.wait = milliseconds(random.between(20, 2'500)).ns;
    claim.most = static_cast<std::uint64_t>(chance(random, 10) ? random.between(0, 4) : 100'000);
    claim.most_waiters =
        static_cast<std::uint64_t>(chance(random, 10) ? random.between(0, 3) : 10'000);
    if (claim.lock.space == Space::elections) claim.value = fmt::format("c{}", ++values_);
  } else {
    claim.kind = dice <= 88 ? Claim::Kind::renew : Claim::Kind::release;
    const Fence hold = draw_hold(client);
    claim.lock = hold.lock;
    claim.number = hold.token;
    if (claim.lock.space == Space::elections && chance(random, 40))
      claim.value = fmt::format("c{}", ++values_);
  }
  return claim;
}

Operation World::invent_timed(Client& client) {
  Prng& random = client.random;
  Operation operation;
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 60) {
    operation.kind = Operation::Kind::claim;
    operation.claim = draw_claim(client);
    operation.key = operation.claim.lock.name;
    if (operation.claim.kind == Claim::Kind::end_lease && chance(random, 40))
      operation.fence = draw_hold(client);
  } else {
    operation.kind = Operation::Kind::act;
    operation.act = draw_write(client);
    if (dice <= 80) {
      operation.act.kind = Act::Kind::put;
      operation.act.keep_lease = operation.act.keep_value = false;
      operation.act.lease = chance(random, 40) ? draw_lease(random) : 0;
      operation.act.ttl = operation.act.lease == 0 ? draw_ttl(random) : 0;
      if (operation.act.value.empty()) operation.act.value = fmt::format("{}", ++values_);
    } else {
      operation.fence = draw_hold(client);
    }
    operation.key = operation.act.key;
  }
  if (chance(random, 45)) {
    operation.body = ++values_;
    operation.token = fmt::format("t{}", operation.body);
  }
  return operation;
}

// Completes a claim for the server that is asked, and says how long its client waits.
std::shared_ptr<const node::LockWait> World::claim_at(const Host& h, Operation& operation) {
  Claim& claim = operation.claim;
  if (claim.kind != Claim::Kind::acquire) return nullptr;
  claim.boot = std::max<std::uint64_t>(1, h.boot);
  const Instant until = h.clock.read(now_) + nanoseconds(claim.wait);
  operation.until = until.ns;
  return std::make_shared<const node::LockWait>(
      node::LockWait{lock_of(claim.lock), until, operation.token});
}

void World::on_claim(Client& client, const Operation& asked, const kv::WriteResult& result) {
  const Claim& claim = asked.claim;
  if (result.kind == kv::WriteResult::Kind::lock_busy && claim.wait > 0 && asked.token.empty() &&
      host(client.host).clock.read(now_).ns < asked.until &&
      !history_.model().has_lapsed(claim.boot))
    return fail("T5: a server gives up waiting for a lock before its client does");
  if (!result.is_done()) return;
  switch (claim.kind) {
    case Claim::Kind::grant:
      tally_.count(Count::leases_granted);
      leases_.push_back(std::get<kv::LeaseResult>(result.result).lease);
      if (leases_.size() > kRemembered) leases_.pop_front();
      return;
    case Claim::Kind::renew_lease: return tally_.count(Count::leases_renewed);
    case Claim::Kind::end_lease: return tally_.count(Count::leases_ended);
    case Claim::Kind::renew:
      if (result.replayed) return tally_.count(Count::renewals_repeated);
      repeat_renewal(client, asked);
      return tally_.count(Count::locks_renewed);
    case Claim::Kind::release: return tally_.count(Count::locks_released);
    case Claim::Kind::acquire: break;
  }
  const auto& lock = std::get<kv::LockResult>(result.result);
  tally_.count(history_.has_waited(lock.place) ? Count::locks_granted_after_waiting
                                               : Count::locks_granted);
  client.holds.push_back({claim.lock, lock.token, false});
  if (client.holds.size() > kRemembered) client.holds.pop_front();
}

// The holder of an election changes its value once more, and then retries the renewal before. That
// must not bring the old value back.
void World::repeat_renewal(Client& client, const Operation& asked) {
  if (asked.token.empty() || !asked.claim.value) return;
  Operation change = asked;
  change.token.clear();
  change.claim.value = fmt::format("c{}", ++values_);
  retry(client, std::move(change));
  retry(client, asked);
}

}  // namespace vesper::sim
