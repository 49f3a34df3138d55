// The import: how lines become batches, what the answer says, and how errors end it. The node is a
// list of what was posted.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/bulk_import.hpp"
#include "api/dispatch.hpp"
#include "api/http_exchange.hpp"
#include "kv/command.hpp"

namespace test_bulk_import {

using namespace vesper;
using namespace vesper::api;
using Next = BodyStream::Next;

namespace {

constexpr std::size_t kMaxValue = 2u << 20;

std::string line(const std::string& key, const std::string& value = "v") {
  return R"({"key":")" + key + R"(","value":")" + value + "\"}\n";
}

std::string lines(int from, int to, const std::string& value = "v") {
  std::string text;
  for (int i = from; i <= to; ++i) text += line("k" + std::to_string(i), value);
  return text;
}

class House {
 public:
  struct Posted {
    std::uint32_t part = 0;
    std::vector<std::string> keys;
    bool answered = false;
  };

  // Feeds all of it, as the connection does. Returns what was not taken.
  std::string feed(std::string_view bytes, std::size_t step = std::string_view::npos) {
    while (!bytes.empty() && import_.has_room()) {
      std::size_t work = 100'000;
      bytes.remove_prefix(import_.take(bytes.substr(0, step), work));
    }
    return std::string(bytes);
  }
  void end() { import_.end(); }

  // The node has written the oldest batch that it was not asked about.
  void write(std::uint64_t revision) {
    kv::WriteResult result;
    result.revision = revision;
    result.result = kv::TransactionResult{true, {}};
    reply(std::move(result));
  }
  void refuse(node::Refusal refusal) { reply(refusal); }
  void reply(node::ClientReply reply) {
    const auto at =
        std::find_if(posted.begin(), posted.end(), [](const Posted& one) { return !one.answered; });
    REQUIRE(at != posted.end());
    at->answered = true;
    import_.on_reply(at->part, std::move(reply));
  }

  std::size_t waiting() const {
    return static_cast<std::size_t>(std::count_if(posted.begin(), posted.end(),
                                                  [](const Posted& one) { return !one.answered; }));
  }
  // What the answer has got so far, with its end: "." if it has finished, "!" if it has failed.
  std::string answer(std::size_t room = 1u << 16) {
    if (!std::holds_alternative<Local>(exchange_.outcome)) return {};
    if (!stream_) stream_ = import_.answer();
    std::string text;
    while (true) {
      std::string piece;
      const Next next = stream_->next(room, piece);
      CHECK(piece.size() <= room);
      text += piece;
      if (next == Next::finished) return text + '.';
      if (next == Next::failed) return text + '!';
      if (next == Next::waiting) return text;
      REQUIRE(next == Next::bytes);
    }
  }
  const std::optional<kv::Fence>& fence() const { return fence_; }  // of the last batch
  const Problem& problem() const {
    REQUIRE(std::holds_alternative<Problem>(exchange_.outcome));
    return std::get<Problem>(exchange_.outcome);
  }
  bool answered() const { return exchange_.answered(); }
  BulkImport& import() { return import_; }

  std::vector<Posted> posted;

 private:
  void post(std::uint32_t part, const SharedBytes& command) {
    auto decoded = kv::decode_command(command);
    REQUIRE(decoded.ok());
    const auto& transaction = std::get<kv::Transaction>(decoded->body);
    fence_ = decoded->fence;
    CHECK(transaction.compares.empty());
    Posted one{part, {}, false};
    for (const kv::Operation& operation : transaction.then)
      one.keys.emplace_back(std::get<kv::Put>(operation).key.view());
    CHECK(one.keys.size() <= kv::kMaxOperations);
    posted.push_back(std::move(one));
  }

  std::optional<kv::Fence> fence_;
  HttpExchange exchange_;
  BulkImport import_{exchange_, kMaxValue,
                     [this](std::uint32_t part, SharedBytes command) { post(part, command); },
                     kv::Fence{"n", 17}};
  std::unique_ptr<BodyStream> stream_;
};

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("lines that arrive together are one batch, and the answer ends with totals") {
  House house;
  CHECK(house.feed(lines(1, 3)).empty());
  REQUIRE(house.posted.size() == 1);
  CHECK((house.posted[0].keys == std::vector<std::string>{"k1", "k2", "k3"}));
  house.end();
  CHECK_FALSE(house.answered());
  house.write(7);
  CHECK(house.answered());
  CHECK(house.answer() ==
        "{\"lines\":[1,3],\"revision\":7}\n{\"lines\":3,\"keys\":3,\"revision\":7}\n.");
}

TEST_CASE("an import without lines succeeds and has no revision") {
  for (const char* body : {"", "\n", " \n\r\n"}) {
    House house;
    house.feed(body);
    house.end();
    CHECK(house.posted.empty());
    const std::string count = std::to_string(std::count(body, body + std::strlen(body), '\n'));
    CHECK(house.answer() == "{\"lines\":" + count + ",\"keys\":0}\n.");
  }
}

TEST_CASE("a batch has a limited number of lines and bytes") {
  House house;
  const int most = static_cast<int>(BulkImport::kBatchLines);
  const std::string left = house.feed(lines(1, 2 * most + 5));
  REQUIRE(house.posted.size() == 1);
  CHECK(house.posted[0].keys.size() == BulkImport::kBatchLines);
  house.write(2);
  CHECK(house.feed(left).empty());
  house.end();
  house.write(3);
  house.write(4);
  REQUIRE(house.posted.size() == 3);
  CHECK(house.posted[2].keys.size() == 5);
  CHECK(has(house.answer(), "{\"lines\":1005,\"keys\":1005,\"revision\":4}\n."));

  House large;
  const std::string value(400'000, 'x');
  large.feed(line("a", value) + line("b", value) + line("c", value));
  CHECK((large.posted[0].keys == std::vector<std::string>{"a", "b"}));
  large.write(2);
  CHECK((large.posted[1].keys == std::vector<std::string>{"c"}));
}

TEST_CASE("a key that repeats begins a new batch, so that the last value stays") {
  House house;
  std::string left = house.feed(line("a") + line("b") + line("a") + line("a") + line("c"));
  house.write(2);
  left = house.feed(left);
  house.end();
  for (std::uint64_t revision = 3; house.waiting() > 0; ++revision) house.write(revision);
  REQUIRE(house.posted.size() == 3);
  CHECK((house.posted[0].keys == std::vector<std::string>{"a", "b"}));
  CHECK((house.posted[1].keys == std::vector<std::string>{"a"}));
  CHECK((house.posted[2].keys == std::vector<std::string>{"a", "c"}));
  CHECK(house.answer() ==
        "{\"lines\":[1,2],\"revision\":2}\n{\"lines\":[3,3],\"revision\":3}\n"
        "{\"lines\":[4,5],\"revision\":4}\n{\"lines\":5,\"keys\":5,\"revision\":4}\n.");
}

TEST_CASE("a slow sender's lines are written as they come") {
  House house;
  for (int i = 1; i <= 3; ++i) {
    house.feed(line("k" + std::to_string(i)));
    CHECK(house.waiting() == 1);
    house.write(static_cast<std::uint64_t>(i + 1));
    CHECK(house.answer() == "{\"lines\":[" + std::to_string(i) + "," + std::to_string(i) +
                                "],\"revision\":" + std::to_string(i + 1) + "}\n");
  }
}

TEST_CASE("a fast sender waits while enough batches are posted") {
  House house;
  const int most = static_cast<int>(BulkImport::kBatchLines);
  std::string left = house.feed(lines(1, 20 * most));
  CHECK(house.waiting() == 1);  // until the first one is decided
  CHECK_FALSE(house.import().has_room());
  CHECK(left.size() > lines(1, 17 * most).size());
  house.write(2);
  std::size_t peak = 0;
  for (std::uint64_t revision = 3; !left.empty() || house.waiting() > 0; ++revision) {
    left = house.feed(left);
    peak = std::max(peak, house.waiting());
    CHECK(house.import().held() < 2 * BulkImport::kBatchBytes);
    house.write(revision);
    house.answer();
  }
  CHECK(peak == BulkImport::kBatchesPosted);
  CHECK(house.posted.size() == 20);
}

TEST_CASE("a client that does not read its answer is not read either") {
  House house;
  bool stopped = false;
  for (std::uint64_t i = 0; i < 5000 && !stopped; ++i) {
    const std::string key = "k" + std::to_string(i);
    stopped = !house.feed(line(key)).empty();
    if (house.waiting() > 0) house.write(i + 2);
  }
  CHECK(stopped);
  const std::string answer = house.answer(100);
  CHECK(answer.size() < 64u << 10);
  CHECK(house.import().has_room());
}

TEST_CASE("the parts in which the body arrives do not matter") {
  const std::string text = lines(1, 50) + "\n" + lines(51, 90) + line("k7", "again") + "  ";
  for (const std::size_t step : {1u, 3u, 64u}) {
    House house;
    std::string left = house.feed(text, step);
    std::uint64_t revision = 2;
    while (!left.empty() || house.waiting() > 0) {
      if (house.waiting() > 0) house.write(revision++);
      left = house.feed(left, step);
    }
    house.end();
    while (house.waiting() > 0) house.write(revision++);
    std::vector<std::string> keys;
    for (const auto& one : house.posted) keys.insert(keys.end(), one.keys.begin(), one.keys.end());
    REQUIRE(keys.size() == 91);
    CHECK(keys[50] == "k51");
    CHECK(keys[90] == "k7");
    CHECK(has(house.answer(), "\"lines\":93,\"keys\":91,"));
  }
}

TEST_CASE("a bad first line is a plain problem, and nothing is written") {
  House house;
  house.feed("{\"key\":\"a\"}\n" + lines(1, 3));
  CHECK(house.import().is_over());
  CHECK(house.posted.empty());
  CHECK(house.problem().status == 400);
  CHECK(house.problem().code == "invalid_field");
  CHECK(house.problem().field == "value");
  CHECK(house.problem().line == 1);

  House large;
  large.feed(line("a", std::string(kMaxValue + 1, 'x')));
  CHECK(large.problem().status == 413);
  CHECK(large.problem().code == "value_too_large");
  CHECK(large.problem().limit == kMaxValue);
}

TEST_CASE("good lines before a bad one are written, and the answer ends with the error") {
  House house;
  house.feed(lines(1, 3) + "nonsense\n" + lines(4, 6));
  CHECK(house.import().is_over());
  CHECK_FALSE(house.import().has_room());
  REQUIRE(house.posted.size() == 1);
  CHECK(house.posted[0].keys.size() == 3);
  CHECK_FALSE(house.answered());
  house.write(9);
  const std::string answer = house.answer();
  CHECK(answer.starts_with("{\"lines\":[1,3],\"revision\":9}\n{\"error\":{"));
  CHECK(has(answer, "\"code\":\"malformed\""));
  CHECK(has(answer, "\"line\":4"));
  CHECK(answer.ends_with("}}\n!"));
  house.end();  // the connection may still report it
  CHECK(house.posted.size() == 1);
}

TEST_CASE("if the first batch is refused, the answer is that problem") {
  for (const auto refusal : {node::Refusal::no_leader, node::Refusal::overloaded,
                             node::Refusal::outcome_unknown, node::Refusal::disk_full}) {
    House house;
    const std::string left = house.feed(lines(1, 5000));
    CHECK(house.posted.size() == 1);
    house.refuse(refusal);
    CHECK(house.posted.size() == 1);  // no later batch is tried
    CHECK(house.import().is_over());
    CHECK(house.problem().code == api::refused(refusal).code);
    CHECK(house.problem().line == 1);
  }
}

TEST_CASE("if a later batch is refused, the last line says from where on") {
  House house;
  const int most = static_cast<int>(BulkImport::kBatchLines);
  std::string left = house.feed(lines(1, 10 * most));
  house.write(2);
  left = house.feed(left);
  REQUIRE(house.waiting() == BulkImport::kBatchesPosted);
  house.refuse(node::Refusal::outcome_unknown);
  CHECK(house.import().is_over());
  CHECK(house.waiting() == BulkImport::kBatchesPosted - 1);  // no more are posted
  house.write(4);
  house.refuse(node::Refusal::no_leader);
  CHECK(house.waiting() == 1);
  CHECK(house.answer() ==
        "{\"lines\":[1,500],\"revision\":2}\n{\"lines\":[1001,1500],\"revision\":4}\n");
  house.write(5);
  const std::string answer = house.answer();
  CHECK(answer.starts_with("{\"lines\":[2001,2500],\"revision\":5}\n{\"error\":{"));
  CHECK(has(answer, "\"code\":\"outcome_unknown\""));
  CHECK(has(answer, "\"line\":501"));
  CHECK(answer.ends_with("!"));
}

TEST_CASE("every batch has the fence, and one that is fenced off ends the import") {
  House house;
  house.feed(lines(1, 5));
  REQUIRE(house.fence());
  CHECK(house.fence()->name == "n");
  CHECK(house.fence()->token == 17);
  kv::WriteResult result;
  result.kind = kv::WriteResult::Kind::fenced;
  result.limit = 21;
  house.reply(std::move(result));
  CHECK(house.problem().code == "fenced");
  CHECK(house.problem().token == 21u);
  CHECK(house.problem().line == 1);
}

TEST_CASE("a write that the store refuses names the line of its operation") {
  House house;
  house.feed("\n" + lines(1, 5));
  kv::WriteResult result;
  result.kind = kv::WriteResult::Kind::quota_exceeded;
  result.path = {{kv::WriteResult::Step::Branch::then, 2}};
  house.reply(std::move(result));
  CHECK(house.problem().status == 507);
  CHECK(house.problem().line == 4);
  CHECK(house.problem().field.empty());
}

TEST_CASE("an import that is aborted reports what was written, then why") {
  House house;
  house.feed(lines(1, 3) + "{\"key\":\"a\"");
  house.import().abort(api::refused(node::Refusal::shutting_down));
  CHECK(house.import().is_over());
  CHECK_FALSE(house.answered());
  house.write(2);
  const std::string answer = house.answer();
  CHECK(answer.starts_with("{\"lines\":[1,3],\"revision\":2}\n{\"error\":{"));
  CHECK(has(answer, "\"code\":\"shutting_down\""));
  CHECK(has(answer, "\"line\":4"));

  House early;
  early.feed("{\"key\":");
  early.import().abort({.status = 408, .code = "request_timeout"});
  CHECK(early.problem().code == "request_timeout");

  House late;
  late.feed(lines(1, 1));
  late.end();
  late.import().abort({.status = 408, .code = "request_timeout"});  // it comes too late
  late.write(2);
  CHECK(late.answer().ends_with("{\"lines\":1,\"keys\":1,\"revision\":2}\n."));
}

TEST_CASE("the work of one call is bounded") {
  House house;
  const std::string text = lines(1, 900);
  std::size_t work = 100;
  const std::size_t taken = house.import().take(text, work);
  CHECK(work == 0);
  CHECK(taken < lines(1, 101).size());
  work = 10;
  House large;
  const std::string value = line("a", std::string(1u << 20, 'x'));
  CHECK(large.import().take(value, work) < 64u << 10);
}

}  // namespace test_bulk_import
