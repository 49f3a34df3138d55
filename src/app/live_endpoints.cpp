// Learns which members a cluster has while a command runs.
#include "app/live_endpoints.hpp"

#include <algorithm>

namespace vesper::app {
namespace {

bool is_among(const std::vector<HostPort>& servers, const HostPort& server) {
  return std::find(servers.begin(), servers.end(), server) != servers.end();
}

}  // namespace

void LiveEndpoints::learn_from(const HostPort& server, Duration within) {
  const Instant now = monotonic_now();
  if (teller_ == server && now - told_at_ < kLearnEvery) return;
  teller_ = server;
  told_at_ = now;
  std::vector<HostPort> named = ask_for_members(server, within);
  if (named.empty() || named == named_) return;
  // A member that did not answer, such as one that is restarting, is asked again after kLearnEvery.
  named_.clear();
  if (replace_learned(named, within)) named_ = std::move(named);
}

// Members that are no longer named are dropped. A new one counts if it answers: its address may
// mean nothing on this machine. Returns whether all new ones have answered.
bool LiveEndpoints::replace_learned(const std::vector<HostPort>& named, Duration within) {
  std::vector<HostPort> next(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(given_));
  std::vector<HostPort> unknown;
  for (const HostPort& member : named) {
    if (!is_among(all_, member)) unknown.push_back(member);
    else if (!is_among(next, member)) next.push_back(member);
  }
  if (!unknown.empty()) {
    ClusterSurvey survey(within);
    survey.ask(unknown);
    for (const auto& node : survey.nodes())
      if (node->reachable && !is_among(next, node->server)) next.push_back(node->server);
  }
  const auto at = std::find(next.begin(), next.end(), current());
  at_ = at == next.end() ? 0 : static_cast<std::size_t>(at - next.begin());
  all_ = std::move(next);
  return std::all_of(unknown.begin(), unknown.end(),
                     [this](const HostPort& server) { return is_among(all_, server); });
}

}  // namespace vesper::app
