// `vesper lease grant|renew|keep|get|end|list`.
#include <fmt/core.h>

#include <algorithm>
#include <csignal>

#include "app/child_process.hpp"
#include "app/commands.hpp"
#include "app/holding.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"
#include "http/values.hpp"

namespace vesper::app {
namespace {

constexpr std::uint64_t kLeasesAtOnce = 1000;

Call call_of(std::string_view method, std::uint64_t id, Access access) {
  Call call;
  call.method = method;
  call.path = id == 0 ? "/leases" : fmt::format("/leases/{}", id);
  call.access = access;
  if (access == Access::write) call.idempotency_key = make_idempotency_key();
  return call;
}

// `raw` is the member that is printed as raw text.
int run_call(const ClusterOptions& options, const Call& call,
             const std::vector<std::string_view>& columns, std::string_view raw) {
  return print_outcome(call_endpoints(options, call), options, call.access, columns, raw);
}

int list_leases(const LeaseOptions& options) {
  return run_pages(options.cluster, {"leases", Query().add("limit", kLeasesAtOnce).text()},
                   {"LEASE", "TTL_MS", "GRANTED_TTL_MS", "KEYS"}, [](const json::Value& one) {
                     return Row{cell(one.find("lease")), cell(one.find("ttl_ms")),
                                cell(one.find("granted_ttl_ms")), cell(one.find("keys"))};
                   });
}

// Renews until a signal arrives or the lease is over.
int keep(const LeaseOptions& options) {
  const auto endpoints = endpoints_of(options.cluster);
  if (!endpoints) return kExitUsage;
  // The first reply tells how long the lease lasts.
  const Instant asked_at = monotonic_now();
  const Outcome outcome = call_cluster(*endpoints, call_of("PUT", options.id, Access::write),
                                       options.cluster.time_limit());
  if (const int code = report(outcome, Access::write, OutputFormat::raw)) return code;
  const auto document = parse_reply(outcome);
  if (!document) return kExitError;
  const auto ttl = document->root().find("ttl_ms").uint64();
  if (!ttl) return complain_of_shape(outcome, "ttl_ms");
  Signals signals;
  if (signals.fd() < 0) {
    complain("no file descriptor is left");
    return kExitError;
  }
  const auto lasts = std::min<std::uint64_t>(*ttl, http::kMaxDurationMs);
  Renewal renewals(*endpoints, call_of("PUT", options.id, Access::write),
                   milliseconds(static_cast<std::int64_t>(lasts)), asked_at);
  while (true) {
    const Renewal::Event event = renewals.wait(signals.fd());
    if (event == Renewal::Event::lost) {
      complain(fmt::format("lease {} is over: {}", options.id, renewals.why_lost()));
      return kExitError;
    }
    while (const auto signal = signals.next())
      if (*signal != SIGCHLD) return kExitOk;
  }
}

}  // namespace

int run_lease(const LeaseOptions& options) {
  const ClusterOptions& cluster = options.cluster;
  switch (options.action) {
    case LeaseOptions::Action::grant: {
      Call call = call_of("POST", 0, Access::write);
      call.query = Query().add("ttl", fmt::format("{}ms", options.ttl.ms())).text();
      return run_call(cluster, call, {"lease", "ttl_ms"}, "lease");
    }
    case LeaseOptions::Action::renew:
      return run_call(cluster, call_of("PUT", options.id, Access::write), {"lease", "ttl_ms"},
                      "ttl_ms");
    case LeaseOptions::Action::get:
      return run_call(cluster, call_of("GET", options.id, Access::read),
                      {"lease", "ttl_ms", "granted_ttl_ms", "keys"}, "ttl_ms");
    case LeaseOptions::Action::end:
      return run_call(cluster, call_of("DELETE", options.id, Access::write),
                      {"lease", "deleted", "revision"}, "deleted");
    case LeaseOptions::Action::keep: return keep(options);
    case LeaseOptions::Action::list: return list_leases(options);
  }
  VESPER_UNREACHABLE();
}

}  // namespace vesper::app
