#include <doctest/doctest.h>

#include "kv/command.hpp"
#include "node/housekeeping.hpp"

namespace test_housekeeping {

using namespace vesper;
using namespace vesper::node;

namespace {

constexpr Instant at(std::int64_t ms) {
  return Instant{} + seconds(100) + milliseconds(ms);
}

// A leader with a quota of 10 kB and a second of history.
struct Leader {
  Housekeeping house{{.keep_time = seconds(1), .store_bytes = 10'000}};
  kv::Store store;
  std::uint64_t index = 0;

  static kv::LogTime log_time(Instant now) { return kv::LogTime((now - Instant{}).ns); }

  void apply(const std::string& command, Instant now) {
    REQUIRE(store.apply(SharedBytes::copy_of(command), log_time(now), ++index).ok());
  }
  void put(const std::string& key, std::size_t bytes, Instant now) {
    kv::Put put;
    put.key = SharedBytes::copy_of(key);
    put.value = SharedBytes::copy_of(std::string(bytes, '.'));
    apply(kv::encode(kv::Conditions(), put), now);
  }
  std::optional<std::string> next(Instant now) {
    return house.next_command(store, log_time(now), now);
  }
  void carry_out(Instant now, const std::string& expected) {
    const auto command = next(now);
    REQUIRE(command == expected);
    apply(*command, now);
  }
};

const std::string kReached = kv::encode(kv::SetQuota{true});
const std::string kLifted = kv::encode(kv::SetQuota{false});

std::string compacted_to(std::uint64_t revision) {
  return kv::encode(kv::Compact{revision, kv::Compact::By::server});
}

}  // namespace

TEST_CASE("a command that may be under way is repeated after two seconds, or by the next leader") {
  Leader leader;
  leader.put("a", 10'000, at(0));
  CHECK(leader.next(at(0)) == kReached);
  CHECK_FALSE(leader.next(at(1'999)));
  CHECK(leader.next(at(2'000)) == kReached);
  CHECK_FALSE(leader.next(at(2'001)));
  leader.house.forget();
  CHECK(leader.next(at(2'002)) == kReached);
}

TEST_CASE("a quota that is reached again right after it was lifted is reported at once") {
  Leader leader;
  leader.put("a", 10'000, at(0));
  leader.carry_out(at(0), kReached);
  leader.apply(kv::encode_remove("a", {}), at(10));
  leader.apply(compacted_to(leader.store.revision()), at(20));
  leader.carry_out(at(2'000), kReached);  // frees what the delete replaced
  leader.carry_out(at(4'000), kLifted);
  leader.put("b", 10'000, at(4'001));
  CHECK(leader.next(at(4'001)) == kReached);
  CHECK_FALSE(leader.next(at(4'002)));
}

TEST_CASE("a quota that is reached while a compaction is under way is reported at once") {
  Leader leader;
  leader.put("a", 1, at(0));
  leader.put("a", 2, at(0));
  CHECK(leader.next(at(2'000)) == compacted_to(leader.store.revision()));
  leader.put("b", 10'000, at(2'001));
  CHECK(leader.next(at(2'001)) == kReached);
  CHECK_FALSE(leader.next(at(2'002)));
}

}  // namespace test_housekeeping
