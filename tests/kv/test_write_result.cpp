#include <doctest/doctest.h>

#include "kv/write_result.hpp"

using namespace vesper;
using namespace vesper::kv;
using Kind = WriteResult::Kind;

namespace {

VersionRef version(std::string_view key, std::string_view value, bool json = false) {
  VersionFields fields{.revision = 9, .create_revision = 4, .version = 3, .lease = 77, .place = 2};
  fields.json = json;
  return Version::make(key, value, fields);
}

std::vector<WriteResult> one_of_each() {
  std::vector<WriteResult> all;
  const auto add = [&](OperationResult result) {
    WriteResult done;
    done.revision = 12;
    done.result = std::move(result);
    all.push_back(std::move(done));
  };
  add(PutResult{9, 4, 3, {}, {}});
  add(PutResult{9, 4, 3, version("a", "now"), version("a", "prev", true)});
  add(DeleteResult{});
  add(DeleteResult{2, {version("a", "1"), version("b", std::string(5000, 'x'))}});
  add(GetResult{});
  add(GetResult{version(std::string(4096, 'k'), "")});
  add(RangeResult{});
  add(RangeResult{Content::values, {version("a", "1")}, {"p/"}, 1'000'000, true, "resume"});
  add(RangeResult{Content::keys, {version("a", "")}, {}, 1, false, {}});
  add(CompactResult{5});
  add(LeaseResult{7, milliseconds(1500), 1000});
  add(LockResult{LockResult::State::granted, 8, 0, 12, seconds(15)});
  add(LockResult{LockResult::State::not_held});
  add(AccessResult{7, LogTime{9}, 3});
  TransactionResult inner, outer;
  inner.results.emplace_back(GetResult{version("k", "v")});
  outer.succeeded = true;
  outer.results.emplace_back(PutResult{12, 12, 1, {}, {}});
  outer.results.emplace_back(std::move(inner));
  add(std::move(outer));
  for (const Kind kind : {Kind::precondition_failed, Kind::not_an_integer, Kind::out_of_range,
                          Kind::lease_not_found, Kind::lock_busy, Kind::lock_lost, Kind::fenced}) {
    WriteResult failed;
    failed.kind = kind;
    failed.revision = 12;
    failed.current_revision = 7;
    failed.path = {{WriteResult::Step::Branch::then, 4095},
                   {WriteResult::Step::Branch::otherwise, 0}};
    all.push_back(std::move(failed));
  }
  return all;
}

}  // namespace

TEST_CASE("every decided result comes back from its byte form unchanged") {
  for (const WriteResult& result : one_of_each()) {
    const std::string bytes = encode_result(result);
    const auto back = decode_result(bytes);
    REQUIRE(back.ok());
    CHECK(back->kind == result.kind);
    CHECK(back->revision == result.revision);
    CHECK(back->current_revision == result.current_revision);
    CHECK(back->path.size() == result.path.size());
    CHECK(back->result.index() == result.result.index());
    CHECK(encode_result(*back) == bytes);
    if (result.is_done()) CHECK(bytes.size() <= reply_size(result.result));
    for (std::size_t i = 0; i < bytes.size(); ++i)
      CHECK_FALSE(decode_result(std::string_view(bytes).substr(0, i)).ok());
    CHECK_FALSE(decode_result(bytes + "x").ok());
    for (std::size_t i = 0; i < bytes.size() && bytes.size() < 1000; ++i)
      for (int bit = 0; bit < 8; ++bit) {
        std::string damaged = bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
        if (const auto decoded = decode_result(damaged); decoded.ok())
          CHECK(encode_result(*decoded) == damaged);
      }
  }
}

TEST_CASE("a result with keys alone has no values in its byte form") {
  WriteResult result;
  result.revision = 12;
  RangeResult range;
  range.content = Content::keys;
  range.kvs = {version("a", std::string(2000, 'v'))};
  result.result = std::move(range);
  CHECK(encode_result(result).size() < 150);
  CHECK(reply_size(result.result) < 150);
}

TEST_CASE(
    "the byte form of a result never exceeds its reply size, however many results there are") {
  TransactionResult all;
  for (int i = 0; i < 4096; ++i) all.results.emplace_back(TransactionResult{});
  WriteResult result;
  result.revision = 2;
  result.result = std::move(all);
  CHECK(encode_result(result).size() <= reply_size(result.result));
}

TEST_CASE("results that decide nothing are not kept") {
  WriteResult result;
  for (const Kind kind : {Kind::done, Kind::precondition_failed, Kind::out_of_range}) {
    result.kind = kind;
    CHECK(is_decided(result));
  }
  for (const Kind kind : {Kind::key_reused, Kind::reply_too_large, Kind::quota_exceeded}) {
    result.kind = kind;
    CHECK_FALSE(is_decided(result));
  }
}
