#include <doctest/doctest.h>

#include "node/codec.hpp"

using namespace vesper;
using namespace vesper::node;

namespace {

Forward sample() {
  Forward f{raft::Term(7), raft::BootId(3), 2, 11, {}};
  f.writes.push_back({12, SharedBytes::copy_of("first")});
  f.writes.push_back({15, SharedBytes()});
  return f;
}

}  // namespace

TEST_CASE("a Forward decodes to what was encoded") {
  std::string bytes;
  encode(PeerMessage{sample()}, bytes);
  const auto back = decode(bytes);
  REQUIRE(back.ok());
  const auto& f = std::get<Forward>(*back);
  CHECK(f.term == raft::Term(7));
  CHECK(f.boot == raft::BootId(3));
  CHECK(f.attempt == 2);
  CHECK(f.previous == 11);
  REQUIRE(f.writes.size() == 2);
  CHECK(f.writes[0].command.view() == "first");
  CHECK(f.writes[1].sequence == 15);
}

TEST_CASE("a ForwardReply decodes to what was encoded") {
  std::string bytes;
  encode(PeerMessage{ForwardReply{raft::Term(7), raft::BootId(3), 2, 12, true}}, bytes);
  const auto back = decode(bytes);
  REQUIRE(back.ok());
  CHECK(std::get<ForwardReply>(*back).attempt == 2);
  CHECK(std::get<ForwardReply>(*back).accepted == 12);
  CHECK(std::get<ForwardReply>(*back).gap);
}

TEST_CASE("a TransferAsked decodes to what was encoded, and an id out of range is refused") {
  for (const auto& to : {std::optional<raft::ServerId>(), std::optional(raft::ServerId(2))}) {
    std::string bytes;
    encode(PeerMessage{TransferAsked{raft::Term(7), to}}, bytes);
    const auto back = decode(bytes);
    REQUIRE(back.ok());
    CHECK(std::get<TransferAsked>(*back).term == raft::Term(7));
    CHECK(std::get<TransferAsked>(*back).to == to);
    CHECK_FALSE(decode(std::string_view(bytes).substr(0, bytes.size() - 1)).ok());
  }
  std::string bytes;
  encode(PeerMessage{TransferAsked{raft::Term(7), raft::ServerId(raft::kMaxServers)}}, bytes);
  CHECK_FALSE(decode(bytes).ok());
}

TEST_CASE("a message truncated anywhere is refused") {
  std::string bytes;
  encode(PeerMessage{sample()}, bytes);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK_FALSE(decode(std::string_view(bytes).substr(0, size)).ok());
  bytes.push_back('x');
  CHECK_FALSE(decode(bytes).ok());
}

TEST_CASE("the error about an unknown kind names it") {
  const auto unknown = decode(std::string("\xc8", 1));
  REQUIRE_FALSE(unknown.ok());
  CHECK(unknown.error().what.find("kind 200") != std::string::npos);
}

TEST_CASE("sequences that do not increase are refused") {
  Forward f = sample();
  f.writes[1].sequence = 12;
  std::string bytes;
  encode(PeerMessage{f}, bytes);
  CHECK_FALSE(decode(bytes).ok());
}
