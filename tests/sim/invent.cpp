// What clients ask for beyond plain puts, deletes and reads of one key: atomic operations,
// transactions, ranges, old revisions, histories and compactions.
#include <algorithm>

#include "sim/world.hpp"

namespace vesper::sim {
namespace {

constexpr std::size_t kDeepest = 3;  // of transactions

std::string draw_key(Prng& random) {
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 35) return fmt::format("k{}", random.between(0, 7));
  if (dice <= 65) return fmt::format("n{}", random.between(0, 3));
  return fmt::format("r/{}/{}", static_cast<char>('a' + random.between(0, 2)),
                     random.between(0, 5));
}

Span of_prefix(std::string prefix) {
  Span span{prefix, std::move(prefix)};
  ++span.end.back();
  return span;
}

Span draw_span(Prng& random) {
  switch (random.between(0, 11)) {
    case 0: return {};
    case 1: return {"r/b", ""};
    case 2: return {"", "k5"};
    case 3: return {"k2", "r/b/3"};
    case 4: return {"r/c", "r/a"};  // empty
    case 5: return of_prefix("k");
    case 6: return of_prefix("n");
    case 7: return of_prefix("r/a/");
    case 8: return Span::of_key(draw_key(random));
    default: return of_prefix("r/");
  }
}

Act draw_range(Prng& random) {
  Act act;
  act.kind = Act::Kind::range;
  act.span = draw_span(random);
  const auto in_hundred = [&](std::int64_t percent) { return random.between(1, 100) <= percent; };
  act.descending = in_hundred(35);
  if (in_hundred(50)) act.limit = static_cast<std::size_t>(random.between(1, 6));
  const std::int64_t content = random.between(1, 100);
  act.content = content <= 65   ? Act::Content::values
                : content <= 90 ? Act::Content::keys
                                : Act::Content::count;
  if (in_hundred(35)) {
    act.separator = "/";
    act.prefix_size = act.span.start.ends_with('/') ? act.span.start.size() : 0;
  }
  return act;
}

}  // namespace

// A revision that the client knows of: usually one of the newest, sometimes one that is compacted
// or does not exist yet.
std::uint64_t World::draw_revision(Client& client) {
  const std::int64_t dice = client.random.between(1, 100);
  if (dice <= 4) return client.highest + static_cast<std::uint64_t>(client.random.between(1, 3));
  const auto back = static_cast<std::uint64_t>(client.random.between(0, dice <= 80 ? 12 : 150));
  return client.highest > back ? client.highest - back : 1;
}

std::string World::draw_value(Client& client) {
  std::string value = fmt::format("v{}", ++values_);
  const std::int64_t size = client.random.between(1, 100);
  if (size > 92)
    value.resize(static_cast<std::size_t>(client.random.between(100, size > 99 ? 20'000 : 2'000)),
                 '.');
  return value;
}

Act World::draw_write(Client& client) {
  Prng& random = client.random;
  Act act;
  act.key = draw_key(random);
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 28) {
    act.kind = Act::Kind::put;
    act.keep_value = chance(random, 12);
    act.json = !act.keep_value && chance(random, 20);
    if (!act.keep_value)
      act.value = act.json                 ? fmt::format("[{}]", ++values_)
                  : act.key.front() == 'n' ? fmt::format("{}", random.between(-50, 50))
                                           : draw_value(client);
    const std::int64_t end = random.between(1, 100);
    if (end <= 15) act.keep_lease = true;
    else if (end <= 25) act.lease = draw_lease(random);
    else if (end <= 35) act.ttl = draw_ttl(random);
    act.prev = chance(random, 60);
  } else if (dice <= 42) {
    act.kind = Act::Kind::remove;
    act.span = chance(random, 60) ? Span::of_key(act.key) : draw_span(random);
    act.prev = chance(random, 60);
  } else if (dice <= 82) {
    static constexpr Act::Kind kKinds[] = {Act::Kind::increment, Act::Kind::increment,
                                           Act::Kind::append, Act::Kind::min, Act::Kind::max};
    act.kind = kKinds[random.between(0, 4)];
    if (act.kind == Act::Kind::append) act.value = fmt::format("{}", random.between(0, 99));
    else if (chance(random, 80)) act.key = fmt::format("n{}", random.between(0, 3));
    act.operand = chance(random, 4) ? INT64_MAX : random.between(-20, 60);
  } else {
    act.kind = Act::Kind::restore;
    act.revision = draw_revision(client);
  }
  return act;
}

Check World::draw_check(Client& client) {
  Prng& random = client.random;
  Check check;
  check.span = chance(random, 75) ? Span::of_key(draw_key(random)) : draw_span(random);
  check.target = static_cast<Check::Target>(random.between(0, 6));
  check.op = static_cast<Check::Op>(random.between(0, 3));
  switch (check.target) {
    case Check::Target::revision:
    case Check::Target::create_revision: check.number = draw_revision(client); break;
    case Check::Target::lease: check.number = draw_lease(random); break;
    case Check::Target::lock: {
      const Fence hold = draw_hold(client);
      check.span = Span::of_key(hold.lock.name);
      check.op = Check::Op::equal;
      check.number = hold.token;
      break;
    }
    case Check::Target::version:
      check.number = static_cast<std::uint64_t>(random.between(0, 5));
      break;
    case Check::Target::exists:
      check.number = static_cast<std::uint64_t>(random.between(0, 1));
      break;
    case Check::Target::value: check.value = fmt::format("{}", random.between(0, 60)); break;
  }
  return check;
}

// The branch that runs reads one key. The other one writes, so a token may lack a right for it
// alone.
std::shared_ptr<Txn> World::draw_lopsided_txn(Client& client, const std::string& key) {
  auto txn = std::make_shared<Txn>();
  Act get;
  get.key = key;
  txn->then.push_back(std::move(get));
  txn->otherwise.push_back(draw_write(client));
  return txn;
}

// Without `writes`, a transaction that only reads.
std::shared_ptr<Txn> World::draw_txn(Client& client, bool writes, std::size_t depth) {
  Prng& random = client.random;
  auto txn = std::make_shared<Txn>();
  for (std::int64_t n = random.between(0, 2); n > 0; --n) txn->checks.push_back(draw_check(client));
  for (auto* branch : {&txn->then, &txn->otherwise})
    for (std::int64_t n = random.between(branch == &txn->then ? 1 : 0, 4); n > 0; --n) {
      Act act;
      if (depth > 1 && chance(random, 15)) {
        act.kind = Act::Kind::nested;
        act.txn = draw_txn(client, writes, depth - 1);
      } else if (writes && chance(random, 65)) {
        act = draw_write(client);
      } else if (chance(random, 50)) {
        act = draw_range(random);
        if (chance(random, 15)) act.revision = draw_revision(client);
      } else {
        act.key = draw_key(random);
        if (chance(random, 15)) act.revision = draw_revision(client);
      }
      branch->push_back(std::move(act));
    }
  // Sometimes more than fits into a reply.
  for (int n = chance(random, 4) ? 6 : 0; n > 0; --n) {
    Act act;
    act.kind = Act::Kind::range;
    txn->then.push_back(std::move(act));
  }
  return txn;
}

void World::invent_read(Client& client, Operation& operation) {
  Prng& random = client.random;
  choose_read(client, operation);
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 20) {
    operation.kind = Operation::Kind::past;
    operation.key = draw_key(random);
    operation.at = draw_revision(client);
  } else if (dice <= 35) {
    operation.kind = Operation::Kind::history;
    operation.key = draw_key(random);
    operation.at = static_cast<std::uint64_t>(chance(random, 50) ? 1'000 : random.between(1, 4));
  } else if (dice <= 80) {
    const bool stream = dice > 65;
    operation.kind = stream ? Operation::Kind::stream : Operation::Kind::page;
    operation.act = draw_range(random);
    if (chance(random, 30)) operation.act.revision = draw_revision(client);
    if (stream && operation.act.content == Act::Content::count)
      operation.act.content = Act::Content::values;
    if (stream && chance(random, 70)) operation.act.limit = 0;
    if (!stream && operation.act.limit != 0) {
      operation.pages = ++last_pages_;
      pages_[operation.pages].whole = operation.act;
    }
  } else {
    operation.kind = Operation::Kind::read_txn;
    operation.txn = draw_txn(client, false, kDeepest);
  }
}

// What a client polls.
Operation World::invent_polled(Client& client) {
  Prng& random = client.random;
  Operation operation;
  operation.key = draw_key(random);
  if (chance(random, 50)) return operation;
  operation.kind = Operation::Kind::page;
  // The API refuses an empty range.
  const Span& span = operation.act.span;
  do operation.act = draw_range(random);
  while (!span.end.empty() && span.end <= span.start);
  return operation;
}

Operation World::invent_more(Client& client) {
  Prng& random = client.random;
  Operation operation;
  operation.invoked = (now_ - kBegin).ns;
  const std::int64_t dice = random.between(1, 100);
  if (dice <= 45) {
    invent_read(client, operation);
    return operation;
  }
  const std::uint64_t nonce = kNonce + ++values_;
  if (chance(random, 45)) {
    operation.token = fmt::format("t{}", values_);
    operation.body = values_;
  }
  if (dice <= 47) {
    operation.kind = Operation::Kind::compact;
    operation.at = draw_revision(client);
    return operation;
  }
  if (dice <= 80) {
    operation.act = draw_write(client);
    operation.kind = Operation::Kind::act;
    operation.key = operation.act.key;
    const Span& span = operation.act.span;
    if (operation.act.kind != Act::Kind::remove ||
        (span.start == operation.key && span.end == Span::of_key(operation.key).end)) {
      // The condition holds, and makes the bytes of the command unique.
      operation.if_none_match = Expectation{false, {nonce}};
      if (chance(random, 10)) operation.if_match = Expectation{true, {}};
      return operation;
    }
    if (!operation.token.empty()) return operation;
  }
  operation.kind = Operation::Kind::txn;
  const bool is_lopsided = plan_.tokens && chance(random, 20);
  auto txn = is_lopsided ? nullptr : draw_txn(client, true, kDeepest);
  const std::string key = draw_key(random);
  if (is_lopsided) txn = draw_lopsided_txn(client, key);
  txn->checks.push_back(
      {Span::of_key(key), Check::Target::version, Check::Op::not_equal, nonce, {}});
  operation.txn = std::move(txn);
  return operation;
}

}  // namespace vesper::sim
