// Transport over sockets: who is connected with whom, and what the node is told about it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "node/ports.hpp"
#include "server/context.hpp"
#include "server/peer_links.hpp"

namespace vesper::server {

class Peers final : public node::Transport {
 public:
  Peers(io::Loop& loop, Context& context, raft::BootId boot);
  ~Peers() override;
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  // The node is there: dials everybody.
  void start(raft::Incarnation incarnation);
  // No more messages and no more dials.
  void stop();

  void send(raft::ServerId to, const node::PeerMessage& message, bool bulk) override;

  // A client's connection turned out to be a peer's. `head` asks for the upgrade, `rest` came
  // behind it.
  void accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
              std::string_view rest);

  // Some peer refuses this server, for what it is or how it was started.
  bool is_refused() const;

  // End of a turn: one write for each link; frames are read again or not.
  void flush();
  bool busy() const { return !ended_.empty(); }
  void update_gauges();

 private:
  friend class OutLink;
  friend class InLink;

  struct Peer {
    raft::ServerId id;
    HostPort address;
    std::unique_ptr<OutLink> control, bulk;
    raft::BootId boot;       // of its process, when last met
    bool announced = false;  // PeerUp was posted, and no PeerGone since
    raft::Incarnation announced_incarnation;
    std::string last_logged;   // of what it wanted here
    std::string last_refusal;  // of this server, by it; "": it took this server in since
  };

  bool drop_unproven();
  Hello hello_to(raft::ServerId to, Channel channel) const;
  Peer* find(raft::ServerId id);
  void mark(OutLink& link);

  // From the links.
  void link_up(OutLink& link);
  void link_ended(OutLink& link);
  void dial_refused(OutLink& link);
  void met_boot(raft::ServerId id, raft::BootId boot);
  void said_unproven(raft::ServerId id, std::optional<raft::PeerState> state);
  void refused_by(raft::ServerId id, std::string_view detail, std::string_view hint);
  void in_proven(InLink& link);
  void in_ended(InLink& link);
  void received(const InLink& link, node::PeerMessage message);
  void announce(Peer& peer, const Hello& theirs);
  void gone(Peer& peer);
  void bury(std::unique_ptr<io::Stream> stream);

  struct Refusal {
    int status = 403;
    std::string_view code;
    std::string detail;
    std::string hint;
  };
  std::optional<Refusal> judge_dialler(const io::Stream& stream, const http::RequestHead& head,
                                       Hello& ours, Hello& theirs);
  void refuse(std::unique_ptr<io::Stream> stream, const Refusal& refusal);
  void log_refusal(std::uint32_t from, bool known, const std::string& detail);

  io::Loop& loop_;
  Context& context_;
  raft::Incarnation incarnation_;
  const raft::BootId boot_;
  std::uint64_t list_hash_;
  bool stopped_ = false;
  bool paused_ = false;
  std::vector<Peer> peers_;  // in id order, this node left out
  std::vector<std::unique_ptr<InLink>> in_links_;
  std::vector<OutLink*> marked_;
  std::map<std::string, bool> logged_strangers_;  // bounded; refusals of nobody in the list
  std::vector<std::unique_ptr<InLink>> ended_;    // destroyed when nothing is on the stack
  std::vector<std::unique_ptr<io::Stream>> buried_;
  std::uint64_t bytes_in_before_ = 0;
};

// Without a key, every address of the list and where this node listens must be loopback.
bool needs_loopback(const Options& options);
// Why this server must not start, if strangers could reach the peers' port. `listen`: where it
// would listen; `listed`: the addresses of the list, in its order. Requires needs_loopback().
std::optional<std::string> refuse_open_peers(const Options& options,
                                             const std::vector<io::Address>& listen,
                                             std::span<const std::vector<io::Address>> listed);

}  // namespace vesper::server
