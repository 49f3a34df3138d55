// The node's Transport over sockets: owns all links, tells the node which peers are connected, and
// accepts or refuses diallers. The set of peers follows the configuration (node/peer_rules.hpp).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
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
#include "peer/paced_lines.hpp"
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

  // Call once the log is recovered and the node exists. It names the peers in its first turn.
  // `boot_number`: of the starts of this data directory. `memory` must outlive this.
  void start(node::Node& node, std::uint64_t boot_number, BootMemory& memory);
  // Stops sending and dialling.
  void stop();

  void send(raft::ServerId to, const node::PeerMessage& message, raft::Channel channel) override;
  bool has_room(raft::ServerId to, raft::Channel channel) const override;
  void follow(const std::vector<node::Contact>& contacts) override;
  // Drops what is sent to these nodes from now on, and to no others. The connections stay up.
  void cut(const std::vector<raft::NodeId>& nodes) { cut_ = {nodes.begin(), nodes.end()}; }
  // The URL under which this server reaches the member. Empty if it keeps no links to it.
  std::string address_of(raft::ServerId id) const;

  // Takes over a connection that turned out to come from a peer. `head` asks for the upgrade;
  // `rest` are the bytes after it.
  void accept(std::unique_ptr<io::Stream> stream, const http::RequestHead& head,
              std::string_view rest);

  // True if any peer currently refuses this server, and not only because it is no member.
  bool is_refused() const;

  // Call at the end of a turn. Writes each link's output, and pauses or resumes reading from peers.
  void flush();
  bool busy() const { return !ended_.empty(); }
  Traffic traffic() const;

 private:
  // `contact`: the node has named it. `guest`: it has dialled this server, which has not heard of
  // it yet, and is forgotten when its links end.
  enum class Kind : std::uint8_t { contact, guest };
  struct Peer {
    Kind kind = Kind::contact;
    OutLink::Target target;
    // Its latest address; the first of the target until it answers. An empty server elsewhere is
    // not its new disk: the member has left that address.
    HostPort reached;
    std::unique_ptr<OutLink> control, bulk;
    raft::BootId boot;        // of the peer's process, as last seen
    raft::BootId older_copy;  // the process that was last reported to have an older copy
    bool announced = false;   // PeerConnected was posted, without a PeerDisconnected since
    raft::Incarnation announced_incarnation;
    // The logged reasons why this server has refused the peer, since it was last accepted; bounded.
    std::set<std::string> logged;
    std::string last_refusal;  // why the peer refused this server; empty: it has accepted it since
    bool refuses = false;      // and an operator has to act
  };

  // LinkEvents
  Hello hello_to(raft::ServerId to, Channel channel) const override;
  node::AcceptorVerdict judge(const Hello& ours, const Hello& theirs,
                              const HostPort& dialled) const override;
  void has_output(OutLink& link) override { marked_.push_back(&link); }
  void link_up(OutLink& link) override;
  void link_ended(OutLink& link) override;
  void dial_refused(raft::ServerId id) override;
  void met_boot(raft::ServerId id, raft::BootId boot) override;
  void met_other(raft::ServerId expected, const HostPort& dialled, const Hello& theirs,
                 const node::AcceptorVerdict& verdict) override;
  void told_to_have_left(const Hello& theirs) override;
  void learn_boots(raft::ServerId id, const Hello& theirs) override;
  void said_unproven(raft::ServerId id, std::optional<raft::PeerState> state) override;
  std::string refused_by(raft::ServerId id, const std::string& body) override;
  void in_proven(InLink& link) override;
  void in_broken(const InLink& link, const std::string& why) override;
  void in_ended(InLink& link) override;
  void received(const InLink& link, node::PeerMessage message) override;
  void bury(std::unique_ptr<io::Stream> stream) override;

  Peer* find(raft::ServerId id);
  bool is_cut(raft::ServerId id) const;
  Peer& add(OutLink::Target target, Kind kind);
  void drop_links(raft::ServerId id, Peer& peer);
  void drop_peers(const std::function<bool(raft::ServerId, const Peer&)>& is_unwanted);
  OutLink::Target target_of(raft::ServerId number, std::string name,
                            std::optional<raft::NodeId> node, const HostPort& given) const;
  OutLink::Target target_of(const Hello& theirs, raft::ServerId number) const;
  bool outranks_list(const Hello& theirs) const;
  bool is_linked_from(raft::ServerId id) const;
  bool has_link_that_outranks_list(raft::ServerId id) const;
  std::size_t guests() const;
  void forget_guests();
  node::DiallerVerdict judge_dialler(const Hello& theirs);
  void review_links();
  raft::ServerId heard_as(const Hello& theirs, raft::ServerId otherwise) const;
  bool is_found_at(const Peer& peer, const HostPort& address) const;
  void announce(raft::ServerId id, Peer& peer, const Hello& theirs);
  void gone(raft::ServerId id, Peer& peer);
  bool drop_unproven();
  std::optional<Refusal> refuse_second_process(const Hello& theirs, raft::ServerId as) const;
  bool is_host_of_member(const std::string& host) const;
  std::optional<node::PeerRefusal> refuse_certificate(const crypto::TlsSession& tls,
                                                      const Hello& theirs) const;
  std::optional<Refusal> refuse_dialler(const io::Stream& stream, const http::RequestHead& head,
                                        Hello& ours, Hello& theirs);
  void refuse(std::unique_ptr<io::Stream> stream, const Refusal& refusal);
  // Logs each reason once.
  void log_refusal(raft::ServerId from, const Refusal& refusal, const io::Stream& stream);

  const Settings settings_;
  RefusalFormat& format_;
  const std::uint64_t list_hash_;
  const LinkContext link_context_;
  node::Node* node_ = nullptr;  // null until start()
  std::uint64_t boot_number_ = 0;
  BootMemory* memory_ = nullptr;  // null until start()
  std::set<raft::NodeId> cut_;
  bool stopped_ = false;
  bool paused_ = false;
  std::map<raft::ServerId, Peer> peers_;  // by number, without this server
  std::vector<std::unique_ptr<InLink>> in_links_;
  std::vector<OutLink*> marked_;
  // Bounded; refusals of diallers that are no peers.
  std::set<std::string> logged_strangers_;
  PacedLines unproven_;  // about links whose dialler has not proven itself
  // Destroyed once none of their functions is on the stack.
  std::vector<std::unique_ptr<InLink>> ended_;
  std::vector<std::unique_ptr<io::Stream>> buried_;
  std::uint64_t bytes_in_before_ = 0, bytes_out_before_ = 0;  // of links that are gone
  std::uint64_t messages_dropped_ = 0;
};

}  // namespace vesper::peer
