// The node's Transport over sockets: owns all links, tells the node which peers are connected, and
// accepts or refuses diallers.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"
#include "io/loop.hpp"
#include "io/stream.hpp"
#include "node/node.hpp"
#include "node/ports.hpp"
#include "peer/in_link.hpp"
#include "peer/link_events.hpp"
#include "peer/out_link.hpp"
#include "peer/settings.hpp"

namespace vesper::peer {

struct Traffic {
  std::size_t links_up = 0;  // up, and dialled by this server
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t messages_dropped = 0;  // because a link was full or not up
};

class Peers final : public node::Transport, private LinkEvents {
 public:
  Peers(io::Loop& loop, Settings settings, RefusalFormat& format);
  ~Peers() override;
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  const Settings& settings() const { return settings_; }

  // Call once the log is recovered and the node exists. Dials all peers.
  void start(node::Node& node, raft::Incarnation incarnation);
  // Stops sending and dialling.
  void stop();

  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) override;

  // Takes over a connection that turned out to come from a peer. `head` asks for the upgrade;
  // `rest` are the bytes after it.
  void accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
              std::string_view rest);

  // True if any peer currently refuses this server.
  bool is_refused() const;

  // Call at the end of a turn. Writes each link's output, and pauses or resumes reading from peers.
  void flush();
  bool busy() const { return !ended_.empty(); }
  Traffic traffic() const;

 private:
  struct Peer {
    raft::ServerId id;
    std::unique_ptr<OutLink> control, bulk;
    raft::BootId boot;       // of the peer's process, as last seen
    bool announced = false;  // PeerConnected was posted, without a PeerDisconnected since
    raft::Incarnation announced_incarnation;
    std::string last_logged;   // the last logged reason why this server refused the peer
    std::string last_refusal;  // why the peer refused this server; empty: it has accepted it since
  };

  // LinkEvents
  Hello hello_to(raft::ServerId to, Channel channel) const override;
  std::optional<node::PeerRefusal> refuse(const Hello& ours, const Hello& theirs) const override;
  void has_output(OutLink& link) override { marked_.push_back(&link); }
  void link_up(OutLink& link) override;
  void link_ended(OutLink& link) override;
  void dial_refused(raft::ServerId id) override;
  void met_boot(raft::ServerId id, raft::BootId boot) override;
  void said_unproven(raft::ServerId id, std::optional<raft::PeerState> state) override;
  std::string refused_by(raft::ServerId id, const std::string& body) override;
  void in_proven(InLink& link) override;
  void in_ended(InLink& link) override;
  void received(const InLink& link, node::PeerMessage message) override;
  void bury(std::unique_ptr<io::Stream> stream) override;

  Peer* find(raft::ServerId id);
  void announce(Peer& peer, const Hello& theirs);
  void gone(Peer& peer);
  bool drop_unproven();
  std::optional<Refusal> refuse_dialler(const io::Stream& stream, const http::RequestHead& head,
                                        Hello& ours, Hello& theirs);
  void refuse(std::unique_ptr<io::Stream> stream, const Refusal& refusal);
  // Logs each reason once. `from` is nothing if the dialler did not say which server it is.
  void log_refusal(std::optional<raft::ServerId> from, const std::string& detail);

  const Settings settings_;
  RefusalFormat& format_;
  const std::uint64_t list_hash_;
  const LinkContext link_context_;
  node::Node* node_ = nullptr;  // null until start()
  raft::Incarnation incarnation_;
  bool stopped_ = false;
  bool paused_ = false;
  std::vector<Peer> peers_;  // in id order, without this server
  std::vector<std::unique_ptr<InLink>> in_links_;
  std::vector<OutLink*> marked_;
  // Bounded; refusals of diallers that are not in the list.
  std::map<std::string, bool> logged_strangers_;
  // Destroyed once none of their functions is on the stack.
  std::vector<std::unique_ptr<InLink>> ended_;
  std::vector<std::unique_ptr<io::Stream>> buried_;
  std::uint64_t bytes_in_before_ = 0;
  std::uint64_t messages_dropped_ = 0;
};

}  // namespace vesper::peer
