// Tests the checker of long polls with known logs and answers: each right answer passes, and each
// wrong one is reported with what is wrong.
#include <doctest/doctest.h>

#include "sim/polls.hpp"

using namespace vesper::sim;
using Answer = PollCheck::Answer;

namespace {

bool says(const Violation& wrong, const char* what) {
  if (!wrong) return false;
  INFO(*wrong);
  return wrong->find(what) != std::string::npos;
}

void write(Model& model, const char* key) {
  model.commit({{key, Seen{.present = true}}});
}

// a at 2, b at 3, a lock called c at 4.
Model three_events() {
  Model model;
  write(model, "a");
  write(model, "b");
  model.commit({{"c", Seen{.present = true}}}, Space::locks);
  return model;
}

// It waits until 100, and its read has 50 from then on.
PollCheck poll(Span span, std::optional<std::uint64_t> since) {
  return PollCheck({std::move(span), since, 100, 50});
}

}  // namespace

TEST_CASE("V4: a state needs a change after the revision that the client named") {
  const Model model = three_events();
  SUBCASE("the change was there before the poll") {
    PollCheck one = poll(Span::of_key("b"), 2);
    one.begin_turn({4, 1, 0});
    CHECK_FALSE(one.end_turn(model, {4, 1, 0}, 10));
    CHECK(one.is_due());
    CHECK_FALSE(one.answered(model, Answer::state, 4));
    CHECK(one.came_late());
  }
  SUBCASE("the change came after it") {
    PollCheck one = poll({"a", "c"}, 2);
    one.begin_turn({2, 1, 0});
    CHECK_FALSE(one.end_turn(model, {2, 1, 0}, 10));
    CHECK_FALSE(one.is_due());
    CHECK_FALSE(one.end_turn(model, {3, 1, 0}, 11));
    CHECK(one.is_due());
    CHECK_FALSE(one.answered(model, Answer::state, 3));
    CHECK_FALSE(one.came_late());
  }
  SUBCASE("the state is older than the change") {
    PollCheck one = poll({}, 2);
    one.begin_turn({2, 1, 0});
    CHECK(says(one.answered(model, Answer::state, 2), "V4: a long poll of '' to '' since 2"));
  }
  SUBCASE("the change is the one that the client has seen") {
    PollCheck one = poll(Span::of_key("b"), 3);
    one.begin_turn({4, 1, 0});
    CHECK(says(one.answered(model, Answer::state, 4), "but nothing has changed"));
  }
  SUBCASE("changes of other keys, and of locks, do not count") {
    PollCheck one = poll({"b\x01", ""}, 1);
    one.begin_turn({4, 1, 0});
    CHECK(says(one.answered(model, Answer::state, 4), "but nothing has changed"));
  }
  SUBCASE("a client that names no revision has seen what the server had") {
    PollCheck one = poll({}, std::nullopt);
    one.begin_turn({3, 1, 0});
    one.begin_turn({4, 1, 0});
    CHECK(says(one.answered(model, Answer::state, 4), "since 3 (not named)"));
  }
}

TEST_CASE("V4: a state without a change needs a compaction before the poll, or an install") {
  const Model model = three_events();
  PollCheck one = poll(Span::of_key("d"), 2);
  SUBCASE("what follows the revision is kept") {
    one.begin_turn({4, 3, 0});
    CHECK(says(one.answered(model, Answer::state, 4), "but nothing has changed"));
  }
  SUBCASE("the revision after it is compacted") {
    one.begin_turn({4, 4, 0});
    CHECK_FALSE(one.end_turn(model, {4, 4, 0}, 10));
    CHECK(one.is_due());
    CHECK_FALSE(one.answered(model, Answer::state, 4));
  }
  SUBCASE("it was compacted too late") {
    one.begin_turn({4, 3, 0});
    CHECK_FALSE(one.end_turn(model, {4, 4, 0}, 10));
    CHECK(says(one.answered(model, Answer::state, 4), "but nothing has changed"));
  }
  SUBCASE("a snapshot was installed") {
    one.begin_turn({4, 1, 6});
    CHECK_FALSE(one.end_turn(model, {4, 4, 7}, 10));
    CHECK_FALSE(one.answered(model, Answer::state, 4));
  }
}

TEST_CASE("V4: 304 needs that nothing has changed, and that the wait is over") {
  const Model model = three_events();
  PollCheck one = poll({"b", "b\x01"}, 2);
  SUBCASE("nothing had changed at its revision") {
    one.begin_turn({2, 1, 0});
    CHECK_FALSE(one.end_turn(model, {2, 1, 0}, 100));
    CHECK_FALSE(one.answered(model, Answer::unchanged, 2));
  }
  SUBCASE("something had") {
    one.begin_turn({2, 1, 0});
    CHECK_FALSE(one.end_turn(model, {3, 1, 0}, 100));
    CHECK(says(one.answered(model, Answer::unchanged, 3), "but 'b' has at 3"));
  }
  SUBCASE("the wait is not over") {
    one.begin_turn({2, 1, 0});
    CHECK_FALSE(one.end_turn(model, {2, 1, 0}, 99));
    CHECK(says(one.answered(model, Answer::unchanged, 2), "before its wait is over"));
  }
  SUBCASE("the history is too short to tell") {
    PollCheck other = poll(Span::of_key("d"), 2);
    other.begin_turn({4, 4, 0});
    CHECK_FALSE(other.end_turn(model, {4, 4, 0}, 100));
    CHECK(says(other.answered(model, Answer::unchanged, 4), "the history before 4 is gone"));
  }
}

TEST_CASE("V5: a poll that is due is answered while its client has patience") {
  const Model model = three_events();
  PollCheck one = poll(Span::of_key("b"), 2);
  one.begin_turn({2, 1, 0});
  const auto ends = [&](std::uint64_t revision, std::int64_t now) {
    return one.end_turn(model, {revision, 1, 0}, now);
  };
  SUBCASE("it was not taken yet") {
    one = poll(Span::of_key("b"), 2);
    CHECK_FALSE(ends(3, 1'000));
    CHECK_FALSE(one.is_due());
  }
  SUBCASE("the server has a change") {
    CHECK_FALSE(ends(2, 10));
    CHECK_FALSE(ends(3, 20));
    CHECK_FALSE(ends(4, 69));
    CHECK_FALSE(ends(4, 70));  // the turn that has to answer
    CHECK(says(ends(4, 71), "V5"));
  }
  SUBCASE("the wait is over") {
    CHECK_FALSE(ends(2, 105));
    CHECK_FALSE(ends(2, 155));
    CHECK(says(ends(2, 156), "V5"));
  }
  SUBCASE("it may wait as long as the server has no change") {
    CHECK_FALSE(ends(2, 98));
    CHECK_FALSE(ends(2, 99));
    CHECK_FALSE(one.is_due());
  }
}
