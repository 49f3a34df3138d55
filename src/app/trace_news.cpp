#include "app/trace_news.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/bytes.hpp"

namespace vesper::app {
namespace {

constexpr double kCounted = 1000;             // ms
constexpr double kRateCovers = 250;           // ms before a `rate`
constexpr std::size_t kMaxTracedNodes = 256;  // a cluster has 64 members
constexpr std::size_t kMaxSent = 10000;       // of one node; a server shows 200 messages a second

std::uint64_t number_of(const json::Value& event, std::string_view name) {
  return event.find(name).uint64().value_or(0);
}

bool flag_of(const json::Value& event, std::string_view name) {
  return event.find(name).boolean().value_or(false);
}

double milliseconds_of(const json::Value& event) {
  const std::string text(event.find("at").number().value_or("0"));
  return std::strtod(text.c_str(), nullptr);
}

MessageFamily family_of(std::string_view message) {
  if (const auto end = message.find("_reply"); end != message.npos)
    message = message.substr(0, end);
  if (message == "vote" || message == "pre_vote" || message == "transfer")
    return MessageFamily::votes;
  if (message == "snapshot") return MessageFamily::snapshots;
  if (message == "append") return MessageFamily::appends;
  return message == "heartbeat" ? MessageFamily::heartbeats : MessageFamily::others;
}

std::size_t size_of(const json::Value& array) {
  std::size_t size = 0;
  for (auto at = array.begin(); at != array.end(); ++at) ++size;
  return size;
}

std::string role_words(const json::Value& event) {
  const std::string_view role = event.find("role").string().value_or("");
  const auto leader = event.find("leader").uint64();
  if (role == "leader") return "became leader";
  if (role == "candidate") return "became a candidate";
  if (role == "learner")
    return leader ? fmt::format("learns from node {}", *leader) : "is a learner";
  return leader ? fmt::format("follows node {}", *leader) : "became a follower and knows no leader";
}

std::string vote_words(std::uint64_t node, const json::Value& event) {
  const bool is_pre_vote = flag_of(event, "pre_vote");
  const std::uint64_t candidate = number_of(event, "for");
  if (candidate == node)
    return is_pre_vote ? "asks whether it could win an election" : "votes for itself";
  return fmt::format("{} node {}", is_pre_vote ? "would vote for" : "granted its vote to",
                     candidate);
}

std::string tally_words(const json::Value& event) {
  const std::size_t refused = size_of(event.find("refused"));
  std::string words =
      fmt::format("has {} of {} needed {}", size_of(event.find("granted")),
                  number_of(event, "needed"), flag_of(event, "pre_vote") ? "pre-votes" : "votes");
  if (refused > 0) words += fmt::format("; {} refused", refused);
  return words;
}

std::string configuration_words(const json::Value& event) {
  std::string nodes;
  for (const auto& member : event.find("members")) {
    const std::string_view seat = member.value.find("seat").string().value_or("voter");
    nodes += fmt::format("{}{}", nodes.empty() ? "" : ", ", number_of(member.value, "id"));
    if (seat != "voter") nodes += fmt::format(" ({})", escaped(seat, 12));
  }
  return fmt::format("{}configuration of nodes {}", flag_of(event, "joint") ? "joint " : "", nodes);
}

// Empty for a kind that is no transition.
std::string words_of(std::uint64_t node, std::string_view kind, const json::Value& event) {
  if (kind == "role") return role_words(event);
  if (kind == "vote") return vote_words(node, event);
  if (kind == "votes") return tally_words(event);
  if (kind == "configuration") return configuration_words(event);
  if (kind == "truncate")
    return fmt::format("removed its entries from {} on: they were never committed",
                       number_of(event, "from"));
  if (kind == "snapshot")
    return fmt::format("has a snapshot up to entry {}", number_of(event, "index"));
  return {};
}

}  // namespace

std::string_view to_string(MessageFamily family) {
  static constexpr std::string_view kNames[] = {"votes", "snapshots", "appends", "heartbeats",
                                                "others"};
  static_assert(std::size(kNames) == kMessageFamilies);
  return kNames[static_cast<std::size_t>(family)];
}

bool TraceNews::take(const json::Value& event, Instant now) {
  const bool was_live = is_live();
  const bool is_news = take_event(event, now);
  return is_news || is_live() != was_live;
}

bool TraceNews::take_event(const json::Value& event, Instant now) {
  const auto id = event.find("node").uint64();
  const std::string_view kind = event.find("kind").string().value_or("");
  if (!id || kind == "dropped" || (nodes_.size() == kMaxTracedNodes && !nodes_.contains(*id)))
    return false;
  Node& node = nodes_[*id];
  const double at = milliseconds_of(event);
  newest_ = std::max(newest_, at);
  if (const auto term = event.find("term").uint64(); term && kind != "append" && kind != "send")
    node.term = term;
  if (kind == "silent") {
    node.unreachable.clear();
    if (std::exchange(node.is_silent, true)) return false;
    return add(*id, std::nullopt, "has fallen silent: it is down, frozen or cut off", now);
  }
  if (kind == "state" && std::exchange(node.is_silent, false))
    return add(*id, node.term, "is heard again", now);
  if (kind == "reachable") return take_reachable(*id, node, event, now);
  if (kind == "send" || kind == "rate") {
    Sent& sent = node.sent.emplace_back(Sent{at});
    sent.is_rate = kind == "rate";
    const auto count = [&](std::string_view message, std::uint64_t messages) {
      sent.counts[static_cast<std::size_t>(family_of(message))] += messages;
    };
    if (kind == "send") count(event.find("message").string().value_or(""), 1);
    for (const auto& each : event.find("messages"))
      count(each.name, each.value.uint64().value_or(0));
    while (node.sent.size() > kMaxSent || node.sent.front().at < at - kCounted)
      node.sent.pop_front();
    return false;
  }
  std::string words = words_of(*id, kind, event);
  return !words.empty() && add(*id, node.term, std::move(words), now);
}

// A node repeats after each state what it does not reach.
bool TraceNews::take_reachable(std::uint64_t id, Node& node, const json::Value& event,
                               Instant now) {
  const std::uint64_t peer = number_of(event, "peer");
  const bool is_reachable = flag_of(event, "reachable");
  const bool is_new =
      is_reachable ? node.unreachable.erase(peer) != 0 : node.unreachable.insert(peer).second;
  if (!is_new) return false;
  return add(id, node.term,
             is_reachable ? fmt::format("reaches node {} again", peer)
                          : fmt::format("does not reach node {}", peer),
             now);
}

bool TraceNews::add(std::uint64_t id, std::optional<std::uint64_t> term, std::string words,
                    Instant now) {
  if (term) words.insert(0, fmt::format("term {}: ", *term));
  transitions_.push_back({now, id, std::move(words)});
  if (transitions_.size() > kMaxTransitions) transitions_.pop_front();
  return true;
}

void TraceNews::lose() {
  nodes_.clear();
  newest_ = 0;
}

bool TraceNews::is_silent(std::uint64_t node) const {
  const auto at = nodes_.find(node);
  return at != nodes_.end() && at->second.is_silent;
}

MessageCounts TraceNews::messages() const {
  MessageCounts total{};
  for (const auto& [id, node] : nodes_) {
    for (const Sent& sent : node.sent) {
      if (sent.at < newest_ - kCounted) continue;
      // A rate counts the messages that were shown, too.
      const auto covers = [&](const Sent& rate) {
        return rate.is_rate && sent.at <= rate.at && sent.at > rate.at - kRateCovers;
      };
      if (!sent.is_rate && std::any_of(node.sent.begin(), node.sent.end(), covers)) continue;
      for (std::size_t family = 0; family < total.size(); ++family)
        total[family] += sent.counts[family];
    }
  }
  return total;
}

}  // namespace vesper::app
