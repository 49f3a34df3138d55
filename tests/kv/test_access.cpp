// Tokens: what their rules cover, how the store judges who asks, and that snapshots and the digest
// have all of it.
#include <doctest/doctest.h>

#include "import.hpp"
#include "kv/rights.hpp"
#include "store_helpers.hpp"

using namespace vesper;
using namespace vesper::kv;
using namespace vesper::test;
using Kind = WriteResult::Kind;

namespace {

SecretHash hash_of(char c) {
  SecretHash hash;
  hash.fill(c);
  return hash;
}

Rule prefix(Right right, std::string text) {
  return {right, Rule::Scope::prefix, std::move(text)};
}
Rule exact(Right right, std::string text) {
  return {right, Rule::Scope::exact, std::move(text)};
}

Token token_of(std::vector<Rule> rules) {
  return {{"t", 1}, hash_of('h'), kEndOfLogTime, std::move(rules)};
}

Command decoded(std::string_view bytes) {
  auto command = decode_command(SharedBytes::copy_of(bytes));
  REQUIRE(command.ok());
  return std::move(*command);
}

std::string put(std::string_view key) {
  return encode_put(key, "v", ValueForm::bytes, {});
}

std::string as(const Identity& identity, std::string_view command) {
  return std::string(with_identity(command, identity).view());
}

// A store whose clients need tokens: root has id 10, and "app" may write below "a/", has id 11 and
// expires 60 s after the first second.
struct Guarded {
  Store store;
  Identity root{"root", 10}, app{"app", 11};

  Guarded() {
    REQUIRE(run(store, encode(EnableAuth{hash_of('r')}), at_second(1), 10).is_done());
    AddToken add{"app", hash_of('a'), seconds(60), {prefix(Right::write, "a/")}};
    REQUIRE(run(store, as(root, encode(add)), at_second(1), 11).is_done());
  }
  Kind kind(std::string_view command, LogTime now = at_second(2), std::uint64_t index = 20) {
    return run(store, command, now, index).kind;
  }
};

}  // namespace

TEST_CASE("a range is covered by one rule or by several that touch") {
  const Token token = token_of({prefix(Right::read, "a"), prefix(Right::read, "b/"),
                                exact(Right::read, "c"), prefix(Right::write, "w")});
  const auto covers = [&](const KeyRange& range) { return token.covers(Right::read, range); };
  CHECK(covers(KeyRange::of_prefix("a")));
  CHECK(covers(KeyRange::of_prefix("ab")));
  CHECK(covers({"a1", "b"}));
  CHECK(covers(KeyRange::of_key("c")));
  CHECK(covers({"x", "x"}));  // empty
  CHECK_FALSE(covers(KeyRange::of_prefix("b")));
  CHECK_FALSE(covers({"a", "b0"}));
  CHECK_FALSE(covers(KeyRange::of_prefix("c")));
  CHECK_FALSE(covers(KeyRange::of_prefix("w")));
  CHECK_FALSE(covers(KeyRange::all()));
  CHECK_FALSE(covers({"a", ""}));
  CHECK(token.covers(Right::read, Right::write, KeyRange::of_prefix("w")));
  const Token joined = token_of({prefix(Right::read, "a"), prefix(Right::read, "b")});
  CHECK(joined.covers(Right::read, {"a", "c"}));
  CHECK_FALSE(joined.covers(Right::read, {"a", "c0"}));
  const Token all = token_of({prefix(Right::read, "")});
  CHECK(all.covers(Right::read, KeyRange::all()));
  CHECK(all.covers(Right::read, {"z", ""}));
  const Token last = token_of({prefix(Right::read, "\xff")});
  CHECK(last.covers(Right::read, {"\xff", ""}));
}

TEST_CASE("write shows no values: what returns one needs read, too") {
  const Token writer = token_of({prefix(Right::write, "k")});
  const Token both =
      token_of({prefix(Right::write, "k"), prefix(Right::read, "k"), prefix(Right::lock, "l")});
  const auto needs = [&](const Operation& operation) {
    const auto lack = find_lack(writer, decoded(encode({}, operation)));
    CHECK_FALSE(find_lack(both, decoded(encode({}, operation))).has_value());
    return lack ? std::string(to_string(lack->right)) : "nothing";
  };
  Put plain{.key = bytes_of("k1"), .value = bytes_of("v")};
  CHECK(needs(plain) == "nothing");
  plain.prev = Prev::include;
  CHECK(needs(plain) == "read");
  CHECK(needs(Delete{KeyRange::of_prefix("k"), Prev::omit}) == "nothing");
  CHECK(needs(Delete{KeyRange::of_prefix("k"), Prev::include}) == "read");
  CHECK(needs(Modify{Modify::Kind::increment, bytes_of("k"), 1, {}}) == "read");
  CHECK(needs(Restore{bytes_of("k"), 2}) == "read");
  CHECK(needs(Get{bytes_of("k"), 0}) == "read");

  const auto of_compare = [&](Compare::Target target) {
    Transaction transaction;
    transaction.compares.resize(1);
    transaction.compares[0].range = KeyRange::of_key(target == Compare::Target::lock ? "l" : "k");
    transaction.compares[0].target = target;
    CHECK_FALSE(find_lack(both, transaction).has_value());
    const auto lack = find_lack(writer, transaction);
    return lack ? std::string(to_string(lack->right)) : "nothing";
  };
  CHECK(of_compare(Compare::Target::revision) == "nothing");
  CHECK(of_compare(Compare::Target::exists) == "nothing");
  CHECK(of_compare(Compare::Target::value) == "read");
  CHECK(of_compare(Compare::Target::lock) == "lock");
}

TEST_CASE("A4: a transaction needs the rights of both branches, nested ones included") {
  const Token token = token_of({prefix(Right::write, "k")});
  Transaction inner;
  inner.otherwise.emplace_back(Put{.key = bytes_of("x"), .value = bytes_of("v")});
  Transaction outer;
  outer.then.emplace_back(Put{.key = bytes_of("k"), .value = bytes_of("v")});
  CHECK_FALSE(find_lack(token, outer).has_value());
  outer.otherwise.emplace_back(Nested{std::make_unique<Transaction>(std::move(inner))});
  const auto lack = find_lack(token, outer);
  REQUIRE(lack.has_value());
  CHECK(lack->right == Right::write);
  CHECK(lack->range == KeyRange::of_key("x"));
}

TEST_CASE("A1: while clients need tokens, each write is judged by its token") {
  Guarded g;
  CHECK(g.kind(put("a/1")) == Kind::unauthorized);
  CHECK(g.kind(as(g.app, put("a/1"))) == Kind::done);
  const WriteResult forbidden = run(g.store, as(g.app, put("b")), at_second(2), 20);
  CHECK(forbidden.kind == Kind::forbidden);
  CHECK(forbidden.missing == Right::write);
  CHECK(g.store.find("b") == nullptr);
  CHECK(g.kind(as(g.root, put("b"))) == Kind::done);
  CHECK(g.kind(as({"app", 10}, put("a/1"))) == Kind::unauthorized);
  CHECK(g.kind(as({"none", 11}, put("a/1"))) == Kind::unauthorized);
  CHECK(g.kind(as(g.app, encode(Compact{2}))) == Kind::forbidden);
  SUBCASE("a revoked token writes no more") {
    CHECK(g.kind(as(g.app, encode(RevokeToken{"app"}))) == Kind::forbidden);
    CHECK(g.kind(as(g.root, encode(RevokeToken{"app"}))) == Kind::done);
    CHECK(g.kind(as(g.app, put("a/1"))) == Kind::unauthorized);
    CHECK(g.kind(as(g.root, encode(RevokeToken{"app"}))) == Kind::token_not_found);
  }
  SUBCASE("an expired token writes no more, and its name is free") {
    CHECK(g.kind(as(g.app, put("a/1")), LogTime{at_second(61).value - 1}) == Kind::done);
    CHECK(g.kind(as(g.app, put("a/1")), at_second(61)) == Kind::unauthorized);
    const AddToken add{"app", hash_of('b'), {}, {prefix(Right::read, "")}};
    CHECK(g.kind(as(g.root, encode(add)), at_second(61), 30) == Kind::done);
    CHECK(g.kind(as(g.app, put("a/1")), at_second(61)) == Kind::unauthorized);
    CHECK(g.kind(as(g.root, encode(add)), at_second(62), 31) == Kind::token_exists);
  }
  SUBCASE("what a server proposes needs no token") {
    CHECK(g.kind(encode(Compact{2, Compact::By::server})) == Kind::done);
    CHECK(g.kind(encode(SetQuota{true})) == Kind::done);
    CHECK(g.kind(encode(KeepPlaces{5})) == Kind::done);
    CHECK(g.kind(encode(Expire{})) == Kind::done);
  }
  SUBCASE("a server may make another root at any time") {
    const std::string reset = encode(EnableAuth{hash_of('z'), EnableAuth::By::server});
    CHECK(g.kind(reset, at_second(3), 50) == Kind::done);
    CHECK(g.kind(as(g.root, put("b"))) == Kind::unauthorized);
    CHECK(g.kind(as({"root", 50}, put("b"))) == Kind::done);
    CHECK(g.kind(as(g.app, put("a/1"))) == Kind::done);
  }
  SUBCASE("without the need for tokens, everyone may write") {
    CHECK(g.kind(encode(DisableAuth{})) == Kind::unauthorized);
    CHECK(g.kind(as(g.root, encode(EnableAuth{hash_of('x')}))) == Kind::already_enabled);
    CHECK(g.kind(as(g.root, encode(DisableAuth{}))) == Kind::done);
    CHECK(g.kind(put("b")) == Kind::done);
    CHECK(g.kind(as({"none", 1}, put("b"))) == Kind::done);
    // The tokens stay, and root is made again.
    CHECK(g.kind(encode(EnableAuth{hash_of('x')}), at_second(3), 40) == Kind::done);
    CHECK(g.kind(as(g.app, put("a/1"))) == Kind::done);
    CHECK(g.kind(as(g.root, put("b"))) == Kind::unauthorized);
    CHECK(g.kind(as({"root", 40}, put("b"))) == Kind::done);
  }
}

TEST_CASE("a lease is ended only by a token that may delete its keys") {
  Guarded g;
  REQUIRE(g.kind(as(g.app, encode(GrantLease{seconds(50), 10})), at_second(2), 30) == Kind::done);
  const auto attach = [&](const Identity& who, std::string_view key) {
    Put with_lease{.key = bytes_of(key), .value = bytes_of("v")};
    with_lease.lease = 30;
    return g.kind(as(who, encode({}, Operation(std::move(with_lease)))));
  };
  REQUIRE(attach(g.app, "a/1") == Kind::done);
  REQUIRE(attach(g.app, "a/2") == Kind::done);
  SUBCASE("all keys lie in its rules") {
    CHECK(g.kind(as(g.app, encode(EndLease{30}))) == Kind::done);
    CHECK(g.store.find("a/1") == nullptr);
  }
  SUBCASE("another one has attached a key") {
    REQUIRE(attach(g.root, "b") == Kind::done);
    CHECK(g.kind(as(g.app, encode(RenewLease{30}))) == Kind::done);
    CHECK(g.kind(as(g.app, encode(EndLease{30}))) == Kind::forbidden);
    CHECK(g.store.find("a/1") != nullptr);
    CHECK(g.kind(as(g.root, encode(EndLease{30}))) == Kind::done);
  }
}

TEST_CASE("A3: a keyed write of another token is another request") {
  Guarded g;
  const IdempotencyKey key{"once", {1, 2}};
  const std::string write = encode_put("a/1", "v", ValueForm::bytes, {}, key);
  CHECK(g.kind(as(g.app, write)) == Kind::done);
  CHECK(run(g.store, as(g.app, write), at_second(3), 21).replayed);
  CHECK(g.kind(as(g.root, write)) == Kind::key_reused);
  CHECK(g.kind(write) == Kind::unauthorized);
  REQUIRE(g.kind(as(g.root, encode(RevokeToken{"app"}))) == Kind::done);
  CHECK(g.kind(as(g.app, write)) == Kind::unauthorized);
}

TEST_CASE("the reply to a keyed change of the tokens is kept") {
  Guarded g;
  const std::string revoke = encode(RevokeToken{"app"}, IdempotencyKey{"revoke", {1, 2}});
  const WriteResult revoked = run(g.store, as(g.root, revoke), at_second(3), 20);
  REQUIRE(revoked.kind == Kind::done);
  const WriteResult again = run(g.store, as(g.root, revoke), at_second(4), 21);
  CHECK(again.kind == Kind::done);
  CHECK(again.replayed);
  CHECK(std::get<AccessResult>(again.result).tokens ==
        std::get<AccessResult>(revoked.result).tokens);

  // The retry carries no identity, because no client needs a token any more.
  const std::string disable = encode(DisableAuth{}, IdempotencyKey{"disable", {3, 4}});
  REQUIRE(g.kind(as(g.root, disable)) == Kind::done);
  CHECK(run(g.store, disable, at_second(5), 22).replayed);
  CHECK(g.kind(encode(Compact{1}, IdempotencyKey{"disable", {5, 6}})) == Kind::key_reused);
}

TEST_CASE("no more tokens than are allowed, unless some have expired") {
  Guarded g;
  AddToken add{"", hash_of('x'), seconds(10), {prefix(Right::metrics, "")}};
  std::uint64_t index = 100;
  while (g.store.access().size() < kMaxTokens) {
    add.name = "t" + std::to_string(index);
    REQUIRE(g.kind(as(g.root, encode(add)), at_second(5), ++index) == Kind::done);
  }
  add.name = "last";
  const WriteResult full = run(g.store, as(g.root, encode(add)), at_second(5), ++index);
  CHECK(full.kind == Kind::table_limit);
  CHECK(full.limit == kMaxTokens);
  CHECK(g.kind(as(g.root, encode(add)), at_second(15), ++index) == Kind::done);
  CHECK(g.store.access().size() == 3);
}

TEST_CASE("tokens are in snapshots and in the digest") {
  Guarded g;
  const Id128 before = g.store.digest();
  REQUIRE(g.kind(as(g.root, encode(AddToken{"b", hash_of('b'), {}, all_rights()})), at_second(3),
                 12) == Kind::done);
  CHECK(g.store.digest() != before);
  CHECK(g.store.digest() == g.store.recomputed_digest());
  const std::string content = content_of(g.store);
  const auto copy = import_in(content, 7);
  REQUIRE(copy.ok());
  CHECK((*copy)->digest() == g.store.digest());
  CHECK((*copy)->access().is_enabled());
  CHECK((*copy)->access().tokens() == g.store.access().tokens());
  CHECK(content_of(**copy) == content);
  check_damage_is_detected(content);
  // No secret and no command beside the hashes: a token is found by its hash alone.
  int found = 0;
  (*copy)->access().for_candidates(hash_of('b'), [&](const Token& token) {
    ++found;
    CHECK(token.identity == Identity{"b", 12});
  });
  CHECK(found == 1);
  REQUIRE(g.kind(as(g.root, encode(RevokeToken{"b"}))) == Kind::done);
  CHECK(g.store.digest() == before);
}

TEST_CASE("commands about tokens have one byte form each, and malformed ones are refused") {
  const AddToken add{
      "app-1",
      hash_of('a'),
      seconds(5),
      {prefix(Right::read, "a/"), exact(Right::lock, "l"), prefix(Right::admin, "")}};
  const Command again = decoded(as({"root", 7}, encode(add)));
  REQUIRE(again.identity.has_value());
  CHECK(*again.identity == Identity{"root", 7});
  const auto& read = std::get<AddToken>(again.body);
  CHECK(read.name == add.name);
  CHECK(read.hash == add.hash);
  CHECK(read.ttl == add.ttl);
  CHECK(read.rules == add.rules);
  CHECK(encode(read) == encode(add));
  CHECK(std::get<EnableAuth>(decoded(encode(EnableAuth{hash_of('q')})).body).hash == hash_of('q'));
  CHECK(std::get<RevokeToken>(decoded(encode(RevokeToken{"x"})).body).name == "x");

  const auto error_of = [](std::string bytes) {
    return decode_command(SharedBytes::copy_of(bytes)).error().what;
  };
  const std::string bytes = encode(add);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode_command(SharedBytes::copy_of(std::string_view(bytes).substr(0, size))).ok());
  std::string damaged = bytes;
  damaged[4] = '/';
  CHECK(error_of(damaged) == "command: the name of a token is malformed");
  damaged = bytes;
  damaged[bytes.size() - 1] = 1;  // a right as a whole that names a key
  CHECK_FALSE(decode_command(SharedBytes::copy_of(damaged)).ok());
  damaged = as({"root", 7}, encode(add));
  damaged[8] = damaged[9] = 0;
  CHECK(error_of(damaged) == "command: an identity of 0");
  std::string quota = encode(SetQuota{true});
  quota[2] = 16;
  quota.insert(3, std::string("\x01r\x01\0\0\0\0\0\0\0", 10));
  CHECK(error_of(quota) == "command: kind 4 takes no identity");
}
