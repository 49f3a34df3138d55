// Tests the model of the data model, and that wrong answers about old revisions, ranges and
// compaction are reported.
#include <doctest/doctest.h>

#include "sim/history.hpp"

using namespace vesper::sim;

namespace {

bool says(const Violation& wrong, std::string_view what) {
  if (!wrong) return false;
  INFO(*wrong);
  return wrong->find(what) != std::string::npos;
}

Operation put(const char* key, const char* value) {
  Operation operation;
  operation.kind = Operation::Kind::put;
  operation.key = key;
  operation.value = value;
  return operation;
}

Operation remove(const char* key) {
  Operation operation;
  operation.kind = Operation::Kind::remove;
  operation.key = key;
  return operation;
}

Operation act(Act::Kind kind, const char* key) {
  Operation operation;
  operation.kind = Operation::Kind::act;
  operation.act.kind = kind;
  operation.act.key = operation.key = key;
  return operation;
}

Operation read(Operation::Kind kind, const char* key, std::uint64_t at) {
  Operation operation;
  operation.kind = kind;
  operation.key = key;
  operation.at = at;
  return operation;
}

Operation compact(std::uint64_t revision) {
  Operation operation;
  operation.kind = Operation::Kind::compact;
  operation.at = revision;
  return operation;
}

// Each operation is committed at once; its number is its command.
struct Store {
  History history;
  std::uint64_t commands = 0;

  std::size_t commit(Operation operation) {
    const std::size_t i = history.invoke(std::move(operation), ++commands);
    REQUIRE_FALSE(history.committed(commands));
    return i;
  }
  Violation answer(Operation operation, const std::string& text, std::uint64_t revision) {
    return history.read_more(history.invoke(std::move(operation), 0), text, revision);
  }
};

// a at 2 and 4, b at 3, deleted at 5.
Store three_writes() {
  Store store;
  store.commit(put("a", "1"));
  store.commit(put("b", "1"));
  store.commit(put("a", "2"));
  store.commit(remove("b"));
  return store;
}

// The command that a leader proposes.
std::string compaction(char revision) {
  return std::string("\x03\x03\x20", 3) + revision + std::string(7, '\0');
}

}  // namespace

TEST_CASE("H1: a wrong answer about an old revision is reported") {
  Store store = three_writes();
  const auto past = [](std::uint64_t at) { return read(Operation::Kind::past, "a", at); };
  CHECK_FALSE(store.answer(past(3), "get(a=1;2;2;1;0)", 5));
  CHECK_FALSE(store.answer(past(6), "future 1", 5));
  CHECK(says(store.answer(past(3), "get(a=2;4;2;2;0)", 5), "wrong"));
  CHECK(says(store.answer(past(5), "future 1", 5), "wrong"));
  CHECK(says(store.answer(past(3), "compacted 4", 5), "wrong"));
}

TEST_CASE("H3: a read is refused as compacted only if its revision is compacted") {
  Store store = three_writes();
  const std::size_t by_hand = store.commit(compact(4));
  const auto past = [](std::uint64_t at) { return read(Operation::Kind::past, "a", at); };
  // The server may not have applied the compaction, which has no revision of its own.
  CHECK_FALSE(store.answer(past(3), "get(a=1;2;2;1;0)", 5));
  CHECK_FALSE(store.answer(past(3), "compacted 4", 5));
  CHECK_FALSE(store.answer(past(4), "get(a=2;4;2;2;0)", 5));
  CHECK(says(store.answer(past(4), "compacted 4", 5), "wrong"));
  Outcome done{Outcome::Kind::done, 5};
  done.text = "oldest 4";
  CHECK_FALSE(store.history.wrote(by_hand, done));
  CHECK(says(store.answer(past(3), "get(a=1;2;2;1;0)", 5), "wrong"));
}

TEST_CASE("H3: a history ends at the oldest revision") {
  Store store = three_writes();
  const Operation of_b = read(Operation::Kind::history, "b", 10);
  CHECK_FALSE(store.answer(of_b, "history(deleted at 5|b=1;3;3;1;0|;1)", 5));
  CHECK(says(store.answer(of_b, "history(deleted at 5|;1)", 5), "wrong"));
  store.commit(compact(5));
  CHECK_FALSE(store.answer(of_b, "history(deleted at 5|;5)", 5));
}

TEST_CASE("H5: a compaction that the leader proposes before a bound is reached is reported") {
  Store store;
  store.history.keep_history({1'000, 1'000'000, 100});
  store.commit(put("a", "1"));
  store.commit(put("a", "2"));
  SUBCASE("too early") {
    CHECK(says(store.history.housekept(compaction(3), 999, {}), "H5"));
  }
  SUBCASE("old enough") {
    CHECK_FALSE(store.history.housekept(compaction(3), 1'000, {}));
    CHECK(store.history.model().oldest() == 3);
  }
  SUBCASE("another command") {
    CHECK(says(store.history.housekept("x", 1'000, {}), "nobody"));
  }
}

TEST_CASE("H6: a write that the quota does not refuse is reported") {
  Store store;
  REQUIRE_FALSE(store.history.housekept(std::string("\x03\x04\x00\x01", 4), 0, {}));
  const std::size_t over = store.commit(put("a", "1"));
  CHECK(store.history.revision() == 1);
  CHECK(says(store.history.wrote(over, {Outcome::Kind::put, 2, 2, 1, 2}), "wrong outcome"));
}

TEST_CASE("H6: a report that the quota is still reached frees what the last delete replaced") {
  Store store = three_writes();
  const std::string over("\x03\x04\x00\x01", 4);
  const Model& model = store.history.model();
  REQUIRE_FALSE(store.history.housekept(over, 0, {}));
  REQUIRE_FALSE(store.history.housekept(over, 0, {}));
  CHECK(model.revision() == 5);
  store.commit(compact(5));
  CHECK(model.history_cost() > 0);
  REQUIRE_FALSE(store.history.housekept(over, 0, {}));
  CHECK(model.revision() == 6);
  CHECK(model.oldest() == 6);
  CHECK(model.history_cost() == 0);
}

TEST_CASE("H2: a transaction decides all compares first, and is applied whole or not at all") {
  Model model;
  const auto put_act = [](const char* key, const char* value) {
    Act put;
    put.kind = Act::Kind::put;
    put.key = key;
    put.value = value;
    return put;
  };
  Txn inner;
  inner.checks.push_back({Span::of_key("a"), Check::Target::exists, Check::Op::equal, 1, {}});
  inner.then.push_back(put_act("b", "then"));
  inner.otherwise.push_back(put_act("b", "else"));
  Act nested;
  nested.kind = Act::Kind::nested;
  nested.txn = std::make_shared<Txn>(inner);
  Txn txn;
  txn.then = {put_act("a", "1"), nested};
  SUBCASE("a nested compare does not see the write before it") {
    const auto result = model.evaluate(txn, model.present(), 1'000);
    model.commit(result.writes);
    CHECK(model.now("b").value == "else");
    CHECK(model.now("a").revision == model.now("b").revision);
  }
  SUBCASE("a key that is written twice is refused") {
    txn.then.push_back(put_act("b", "2"));
    CHECK(model.evaluate(txn, model.present(), 1'000).kind == Outcome::Kind::conflict);
  }
  SUBCASE("an operation that fails leaves nothing") {
    Act increment = put_act("c", "");
    increment.kind = Act::Kind::increment;
    model.commit({{"c", {true, "x", false, 2, 2, 1}}});
    txn.then.push_back(increment);
    const auto result = model.evaluate(txn, model.present(), 1'000);
    CHECK(result.kind == Outcome::Kind::not_an_integer);
    CHECK(result.text == "then[2]");
    CHECK(result.writes.empty());
  }
}

TEST_CASE("the result of each transaction counts for the bound of the reply, too") {
  Model model;
  Act get;
  get.key = "a";
  Act nested;
  nested.kind = Act::Kind::nested;
  nested.txn = std::make_shared<Txn>(Txn{{}, {get}, {}});
  const Txn txn{{}, {get, nested}, {}};
  const auto evaluate = [&](std::size_t most) {
    return model.evaluate(txn, model.present(), most);
  };
  // 64 bytes each for: the transaction, then[0], the nested one, its then[0].
  CHECK(evaluate(256).kind == Outcome::Kind::done);
  CHECK(evaluate(255).kind == Outcome::Kind::reply_too_large);
  CHECK(evaluate(255).text == "then[1]then[0]255");
  CHECK(evaluate(191).text == "then[1]191");
  CHECK(evaluate(127).text == "then[0]127");
  CHECK(evaluate(63).text == "63");
}

TEST_CASE("H4: the pages of a range in the model fit together") {
  Model model;
  for (const char* key : {"a", "b/1", "b/2", "c"})
    model.commit({{key, {true, "v", false, model.revision() + 1, model.revision() + 1, 1}}});
  Act query;
  query.limit = 2;
  query.separator = "/";
  for (const bool descending : {false, true}) {
    query.descending = descending;
    query.span = {};
    const RangeText first = model.range(query, model.revision());
    CHECK(first.more);
    CHECK(first.count == 4);
    CHECK(first.prefixes == std::vector<std::string>{"b/"});
    (descending ? query.span.end : query.span.start) = first.resume;
    const RangeText second = model.range(query, model.revision());
    CHECK_FALSE(second.more);
    CHECK(second.kvs.size() == 1);
    CHECK(second.prefixes.empty());
  }
}

TEST_CASE("an atomic operation on what is not a number, or too large, is not carried out") {
  Store store;
  store.commit(put("n", "9223372036854775807"));
  Operation increment = act(Act::Kind::increment, "n");
  increment.act.operand = 1;
  const std::size_t too_large = store.commit(increment);
  CHECK_FALSE(store.history.wrote(too_large, {Outcome::Kind::out_of_range, 2}));
  store.commit(put("n", "01"));
  const std::size_t no_number = store.commit(increment);
  CHECK_FALSE(store.history.wrote(no_number, {Outcome::Kind::not_an_integer, 3}));
}
