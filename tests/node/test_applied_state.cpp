// The store and its place in the log move together.
#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/applied_state.hpp"

namespace test_applied_state {

using namespace vesper;
using node::AppliedState;

namespace {

constexpr raft::Term kTerm{3};

raft::Entry entry(std::uint64_t index, raft::EntryType type, std::string_view payload) {
  return raft::make_entry(raft::Index(index), kTerm, type, raft::LogTime(7), {}, payload);
}

raft::Entry put(std::uint64_t index) {
  return entry(index, raft::EntryType::command, kv::encode_put("k", "v", kv::ValueForm::bytes, {}));
}

AppliedState fresh() {
  return {raft::Snapshot{}, std::make_unique<kv::Store>()};
}

}  // namespace

TEST_CASE("a command has a result, and other entries have none") {
  AppliedState state = fresh();
  const raft::Configuration configuration{{5, 5}, {{raft::ServerId(0), "http://a:1", {}}}};
  const auto bootstrap =
      state.apply(entry(1, raft::EntryType::bootstrap, raft::encode_configuration(configuration)));
  REQUIRE(bootstrap.ok());
  CHECK_FALSE((*bootstrap).has_value());
  CHECK(state.configuration().cluster_id == Id128{5, 5});
  const auto written = state.apply(put(2));
  REQUIRE(written.ok());
  REQUIRE((*written).has_value());
  CHECK((**written).revision == state.store().revision());
  CHECK(state.index() == raft::Index(2));
  CHECK(state.term() == kTerm);
  const raft::Snapshot identity = state.identity();
  CHECK(identity.last_index == raft::Index(2));
  CHECK(identity.last_term == kTerm);
  CHECK(identity.log_time == raft::LogTime(7));
  CHECK(identity.configuration == state.configuration());
}

TEST_CASE("a command of a newer version is an error") {
  AppliedState state = fresh();
  const auto result = state.apply(entry(1, raft::EntryType::command, "\x63"));
  REQUIRE_FALSE(result.ok());
  CHECK(result.error().what.find("cannot apply entry 1") == 0);
}

TEST_CASE("snapshots are due whenever the log crosses a multiple, also after an install") {
  AppliedState state = fresh();
  const std::uint64_t size = put(1).bytes.size();
  std::vector<std::uint64_t> by_entries, by_bytes;
  const auto apply_to = [&](AppliedState& to, std::uint64_t last) {
    by_entries.clear();
    by_bytes.clear();
    for (std::uint64_t i = to.index().value + 1; i <= last; ++i) {
      REQUIRE(to.apply(put(i)).ok());
      if (to.crossed(3, UINT64_MAX)) by_entries.push_back(i);
      if (to.crossed(UINT64_MAX, size * 5 / 2)) by_bytes.push_back(i);
    }
  };
  apply_to(state, 4);
  const raft::Snapshot identity = state.identity();
  AppliedState other = fresh();
  CHECK(other.install(identity, std::make_unique<kv::Store>()) != nullptr);
  CHECK(other.index() == raft::Index(4));
  apply_to(state, 10);
  const auto entries = by_entries, bytes = by_bytes;
  CHECK(entries == std::vector<std::uint64_t>{6, 9});
  CHECK(bytes == std::vector<std::uint64_t>{5, 8, 10});
  apply_to(other, 10);
  CHECK(by_entries == entries);
  CHECK(by_bytes == bytes);
}

}  // namespace test_applied_state
