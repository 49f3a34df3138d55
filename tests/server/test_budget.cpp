// The budget that the connections of a server share.
#include <doctest/doctest.h>

#include "io/tls_budget.hpp"
#include "server/budget.hpp"

using vesper::server::Budget;

TEST_CASE("a turn takes a limited number of requests, and the next turn starts again") {
  Budget budget(10, 10);
  std::size_t taken = 0;
  for (; budget.turn_has_room(); ++taken) budget.take_request();
  CHECK(taken == 1024);
  budget.begin_turn();
  CHECK(budget.turn_has_room());
}

TEST_CASE("bodies and output have room below their limits, whichever connection uses it") {
  Budget budget(10, 20);
  budget.add_body(4);
  budget.add_body(5);
  CHECK(budget.body_has_room());
  budget.add_body(1);
  CHECK(!budget.body_has_room());
  budget.release_body(1);
  CHECK(budget.body_has_room());
  budget.report_output(0, 15);
  budget.report_output(0, 5);
  CHECK(!budget.output_has_room());
  budget.report_output(15, 14);
  CHECK(budget.output_has_room());
}

TEST_CASE("output is short of room above half of its limit") {
  Budget budget(10, 20);
  budget.report_output(0, 10);
  CHECK(!budget.output_is_short());
  budget.report_output(10, 11);
  CHECK(budget.output_is_short());
}

TEST_CASE("a turn computes a bounded number of handshakes, and the next one goes on") {
  vesper::io::TlsBudget handshakes;
  int taken = 0;
  while (taken < 100 && handshakes.take_handshake()) ++taken;
  CHECK(taken >= 1);
  CHECK(taken <= 16);  // 16 ms at the most, well below an election timeout
  CHECK_FALSE(handshakes.take_handshake());
  CHECK_FALSE(handshakes.busy());
  handshakes.begin_turn();
  CHECK(handshakes.take_handshake());
}

TEST_CASE("a turn decrypts a bounded number of records, and the next one goes on") {
  vesper::io::TlsBudget budget;
  std::size_t taken = 0;
  for (; taken < 10'000 && budget.has_records(); ++taken) budget.add_records(1);
  CHECK(taken == 2048);
  budget.add_records(400);  // those of one slice
  CHECK_FALSE(budget.has_records());
  budget.begin_turn();
  CHECK(budget.has_records());
}
