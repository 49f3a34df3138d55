#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "app/trace_news.hpp"

using namespace vesper;
using namespace vesper::app;

namespace {

struct News {
  TraceNews news;
  Instant now{seconds(100).ns};

  bool take(const std::string& json) {
    json::Document event;
    REQUIRE_FALSE(event.parse(json));
    return news.take(event.root(), now);
  }
  std::vector<std::string> texts() const {
    std::vector<std::string> all;
    for (const auto& each : news.transitions()) all.push_back(each.text);
    return all;
  }
  std::uint64_t sent(MessageFamily family) const {
    return news.messages()[static_cast<std::size_t>(family)];
  }
};

}  // namespace

TEST_CASE("transitions are sentences with the term, like those of the web page") {
  News n;
  CHECK_FALSE(n.news.is_live());
  const std::string state = R"({"node":0,"kind":"state","at":1,"role":"follower","term":3})";
  CHECK(n.take(state));  // there are counts of messages now
  CHECK_FALSE(n.take(state));
  CHECK(n.news.is_live());
  CHECK(n.take(R"({"node":0,"kind":"vote","at":2,"term":4,"for":0,"pre_vote":true})"));
  CHECK(n.take(R"({"node":0,"kind":"role","at":3,"role":"candidate","term":4})"));
  CHECK(n.take(R"({"node":0,"kind":"vote","at":3,"term":4,"for":0,"pre_vote":false})"));
  CHECK(n.take(R"({"node":2,"kind":"vote","at":4,"term":4,"for":0,"pre_vote":false})"));
  CHECK(n.take(R"({"node":0,"kind":"votes","at":5,"term":4,"pre_vote":false,)"
               R"("granted":[0,2],"refused":[1],"needed":2})"));
  CHECK(n.take(R"({"node":0,"kind":"role","at":6,"role":"leader","term":4,"leader":0})"));
  CHECK(n.take(R"({"node":1,"kind":"role","at":7,"role":"follower","term":4,"leader":0})"));
  CHECK_FALSE(n.take(R"({"node":1,"kind":"append","at":8,"from":5,"to":5,"term":2})"));
  CHECK(n.take(R"({"node":1,"kind":"truncate","at":8,"from":5})"));
  CHECK(n.take(R"({"node":1,"kind":"configuration","at":9,"joint":true,"members":)"
               R"([{"id":0,"seat":"voter"},{"id":3,"seat":"incoming"}]})"));
  CHECK(n.texts() == std::vector<std::string>{
                         "term 4: asks whether it could win an election",
                         "term 4: became a candidate",
                         "term 4: votes for itself",
                         "term 4: granted its vote to node 0",
                         "term 4: has 2 of 2 needed votes; 1 refused",
                         "term 4: became leader",
                         "term 4: follows node 0",
                         "term 4: removed its entries from 5 on: they were never committed",
                         "term 4: joint configuration of nodes 0, 3 (incoming)",
                     });
  CHECK(n.news.transitions().back().node == 1);
  CHECK(n.news.transitions().back().at == n.now);
}

TEST_CASE("silence and what is not reached are told once, and again after a return") {
  News n;
  const std::string state = R"({"node":1,"kind":"state","at":1,"term":3})";
  const std::string silent = R"({"node":1,"kind":"silent","at":2})";
  const std::string cut = R"({"node":1,"kind":"reachable","at":2,"peer":2,"reachable":false})";
  n.take(state);
  CHECK(n.take(cut));
  n.take(state);
  CHECK_FALSE(n.take(cut));
  CHECK(n.take(silent));
  CHECK(n.news.is_silent(1));
  CHECK_FALSE(n.news.is_silent(0));
  CHECK_FALSE(n.take(silent));
  CHECK(n.take(state));
  CHECK_FALSE(n.news.is_silent(1));
  CHECK(n.take(cut));
  CHECK(n.take(R"({"node":1,"kind":"reachable","at":3,"peer":2,"reachable":true})"));
  CHECK(n.texts().back() == "term 3: reaches node 2 again");
  n.take(silent);
  n.news.lose();
  CHECK_FALSE(n.news.is_silent(1));
  CHECK_FALSE(n.news.is_live());
  CHECK(n.news.transitions().size() == 6);
}

TEST_CASE("messages are counted over a second, and a rate counts those that were shown, too") {
  News n;
  const auto send = [&](const std::string& at, const std::string& message) {
    n.take(R"({"node":0,"kind":"send","at":)" + at + R"(,"to":1,"message":")" + message + "\"}");
  };
  send("1000.5", "append");
  send("1001", "append_reply");
  send("1400", "pre_vote_reply");
  send("1400", "forward");
  CHECK(n.sent(MessageFamily::appends) == 2);
  CHECK(n.sent(MessageFamily::votes) == 1);
  CHECK(n.sent(MessageFamily::others) == 1);
  n.take(R"({"node":0,"kind":"rate","at":1450,"messages":{"append":500,"heartbeat":7}})");
  CHECK(n.sent(MessageFamily::appends) == 502);
  CHECK(n.sent(MessageFamily::heartbeats) == 7);
  CHECK(n.sent(MessageFamily::votes) == 0);  // within the 250 ms
  send("2420", "heartbeat");
  CHECK(n.sent(MessageFamily::appends) == 500);
  send("2500", "heartbeat");
  CHECK(n.sent(MessageFamily::heartbeats) == 2);
  CHECK(n.sent(MessageFamily::appends) == 0);
}

TEST_CASE("what is malformed or unbounded is ignored") {
  News n;
  n.take(R"({"node":0,"kind":"state","at":1})");
  for (const char* event : {"{}", R"({"kind":"silent"})", R"({"node":"x","kind":"silent"})",
                            R"({"node":1,"kind":7})", R"({"node":1,"kind":"unheard of"})"})
    CHECK_FALSE(n.take(event));
  CHECK(n.news.transitions().empty());
  for (int node = 0; node < 1000; ++node)
    n.take(R"({"node":)" + std::to_string(node) + R"(,"kind":"silent","at":1})");
  CHECK(n.news.transitions().size() == TraceNews::kMaxTransitions);
  CHECK_FALSE(n.news.is_silent(999));
}
