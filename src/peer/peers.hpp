// The Transport over sockets: the set of peers, what the node is told about their connections, and
// which diallers are taken.
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
  std::size_t links_up = 0;  // that this server dialled
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::uint64_t messages_dropped = 0;  // on full or broken links
};

class Peers final : public node::Transport, private LinkEvents {
 public:
  Peers(io::Loop& loop, Settings settings, RefusalFormat& format);
  ~Peers() override;
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  const Settings& settings() const { return settings_; }

  // The log has been read, and there is a node: dials all peers.
  void start(node::Node& node, raft::Incarnation incarnation);
  // No more messages and no more dials.
  void stop();

  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) override;

  // Takes over a connection whose client turned out to be a peer. `head` asks for the upgrade,
  // `rest` came after it.
  void accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
              std::string_view rest);

  // Does any peer refuse this server?
  bool is_refused() const;

  // End of a turn: one write for each link; frames are read again or not.
  void flush();
  bool busy() const { return !ended_.empty(); }
  Traffic traffic() const;

 private:
  struct Peer {
    raft::ServerId id;
    std::unique_ptr<OutLink> control, bulk;
    raft::BootId boot;       // of its process, when last met
    bool announced = false;  // PeerUp was posted, and no PeerGone since
    raft::Incarnation announced_incarnation;
    std::string last_logged;   // of what it wanted here
    std::string last_refusal;  // of this server, by it; "": it took this server in since
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
  // Once for each reason. `from` is nothing if the dialler has not said which server it is.
  void log_refusal(std::optional<raft::ServerId> from, const std::string& detail);

  const Settings settings_;
  RefusalFormat& format_;
  const std::uint64_t list_hash_;
  const LinkContext link_context_;
  node::Node* node_ = nullptr;  // null until start()
  raft::Incarnation incarnation_;
  bool stopped_ = false;
  bool paused_ = false;
  std::vector<Peer> peers_;  // in id order, this node left out
  std::vector<std::unique_ptr<InLink>> in_links_;
  std::vector<OutLink*> marked_;
  std::map<std::string, bool> logged_strangers_;  // bounded; refusals of no server in the list
  std::vector<std::unique_ptr<InLink>> ended_;    // destroyed when nothing is on the stack
  std::vector<std::unique_ptr<io::Stream>> buried_;
  std::uint64_t bytes_in_before_ = 0;
  std::uint64_t messages_dropped_ = 0;
};

}  // namespace vesper::peer
