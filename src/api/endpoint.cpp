#include "api/endpoint.hpp"

#include <algorithm>

#include "api/auth.hpp"
#include "api/bulk_import.hpp"
#include "api/chaos.hpp"
#include "api/checks.hpp"
#include "api/cluster.hpp"
#include "api/compact.hpp"
#include "api/context.hpp"
#include "api/kv.hpp"
#include "api/leases.hpp"
#include "api/locks.hpp"
#include "api/members.hpp"
#include "api/metrics_page.hpp"
#include "api/openapi.hpp"
#include "api/page.hpp"
#include "api/probes.hpp"
#include "api/range.hpp"
#include "api/recent_figures.hpp"
#include "api/root.hpp"
#include "api/seed_request.hpp"
#include "api/status.hpp"
#include "api/trace.hpp"
#include "api/transfer.hpp"
#include "api/txn.hpp"
#include "api/watch.hpp"

namespace vesper::api {
namespace {

constexpr std::string_view kReadOnly = "GET, HEAD, OPTIONS";

bool offers_chaos(const Context& context) {
  return context.chaos() != nullptr;
}

// /metrics lists the labels in this order.
constexpr Endpoint kEndpoints[] = {
    {.path = "/request",
     .methods = "GET, PUT, OPTIONS",
     .label = "request",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .timeout = kSeedTimeout,
     .check = check_seed_request,
     .run = run_seed_request,
     .render = render_seed_request},
    {.path = "/kv/",
     .match = Match::prefix,
     .methods = kEveryMethod,
     .label = "kv",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .read_path = read_key,
     .check = check_kv,
     .run = run_kv,
     .render = render_kv},
    {.path = "/kv",
     .methods = "GET, HEAD, POST, DELETE, OPTIONS",
     .label = "range",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .check = check_range,
     .run = run_range,
     .open = open_bulk_import,
     .render = render_range},
    {.path = "/txn",
     .methods = "POST, OPTIONS",
     .label = "txn",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .check = check_txn,
     .run = run_txn,
     .render = render_txn},
    {.path = "/leases/",
     .match = Match::prefix,
     .methods = "GET, HEAD, PUT, DELETE, OPTIONS",
     .label = "lease",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .read_path = read_lease_id,
     .check = check_lease,
     .run = run_lease,
     .render = render_lease},
    {.path = "/leases",
     .methods = "GET, HEAD, POST, OPTIONS",
     .label = "leases",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .check = check_leases,
     .run = run_lease,
     .render = render_lease},
    {.path = "/locks/",
     .match = Match::prefix,
     .methods = kEveryMethod,
     .label = "lock",
     .access = Access::content,
     .needs = Needs::node,
     .read_path = read_lock_name,
     .check = check_lock,
     .run = run_lock,
     .render = render_lock},
    {.path = "/locks",
     .methods = kReadOnly,
     .label = "locks",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .check = check_locks,
     .run = run_lock,
     .render = render_lock},
    {.path = "/elections/",
     .match = Match::prefix,
     .methods = kEveryMethod,
     .label = "election",
     .access = Access::content,
     .needs = Needs::node,
     .read_path = read_election_name,
     .check = check_lock,
     .run = run_lock,
     .render = render_lock},
    {.path = "/elections",
     .methods = kReadOnly,
     .label = "elections",
     .is_load = true,
     .access = Access::content,
     .needs = Needs::node,
     .check = check_elections,
     .run = run_lock,
     .render = render_lock},
    {.path = "/watch",
     .methods = "GET, OPTIONS",
     .label = "watch",
     .access = Access::content,
     .repeatable = kRepeatableFilters,
     .check = check_watch,
     .render = render_watch},
    {.path = "/trace",
     .methods = "GET, OPTIONS",
     .label = "trace",
     .access = Access::token,
     .check = check_no_parameter,
     .render = render_trace},
    {.path = "/status",
     .methods = kReadOnly,
     .label = "status",
     .access = Access::token,
     .check = check_no_parameter,
     .render = render_status},
    {.path = "/livez",
     .methods = kReadOnly,
     .label = "livez",
     .access = Access::open,
     .options = OptionsReply::is_get,
     .check = check_no_parameter,
     .render = render_livez},
    {.path = "/readyz",
     .methods = kReadOnly,
     .label = "readyz",
     .access = Access::open,
     .options = OptionsReply::is_get,
     .check = check_readyz,
     .render = render_readyz},
    {.path = "/metrics",
     .methods = kReadOnly,
     .label = "metrics",
     .access = Access::metrics,
     .check = check_no_parameter,
     .render = render_metrics},
    {.path = "/figures",
     .methods = kReadOnly,
     .label = "figures",
     .access = Access::metrics,
     .check = check_recent_figures,
     .render = render_recent_figures},
    {.path = "/",
     .methods = kReadOnly,
     .label = "root",
     .access = Access::token,
     .check = check_no_parameter,
     .render = render_root},
    {.path = "/openapi.json",
     .methods = kReadOnly,
     .label = "openapi",
     .access = Access::token,
     .check = check_no_parameter,
     .render = render_openapi},
    {.path = "/ui/",
     .match = Match::prefix,
     .methods = kReadOnly,
     .label = "ui",
     .access = Access::page,
     .read_path = read_page_path,
     .check = check_page_file,
     .render = render_page},
    {.path = "/ui",
     .methods = kReadOnly,
     .label = "ui",
     .access = Access::page,
     .check = check_page,
     .render = render_page},
    {.path = "/favicon.ico",
     .methods = kReadOnly,
     .label = "ui",
     .access = Access::page,
     .check = check_icon,
     .render = render_page},
    {.path = "/compact",
     .methods = "POST, OPTIONS",
     .label = "compact",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_compact,
     .run = run_compact,
     .render = render_compact},
    {.path = "/cluster",
     .methods = kReadOnly,
     .label = "cluster",
     .access = Access::token,
     .needs = Needs::node,
     .check = check_cluster,
     .run = run_cluster,
     .render = render_cluster},
    {.path = "/cluster/members",
     .methods = "POST, OPTIONS",
     .label = "members",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_members,
     .run = run_members,
     .render = render_members},
    {.path = "/cluster/transfer",
     .methods = "POST, OPTIONS",
     .label = "transfer",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_transfer,
     .run = run_transfer,
     .render = render_transfer},
    {.path = "/chaos",
     .methods = "GET, POST, OPTIONS",
     .label = "chaos",
     .access = Access::admin,
     .needs = Needs::node,
     .is_offered = offers_chaos,
     .check = check_chaos,
     .run = run_chaos,
     .render = render_chaos},
    {.path = "/auth/enable",
     .methods = "POST, OPTIONS",
     .label = "auth",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_auth_enable,
     .run = run_auth,
     .render = render_auth},
    {.path = "/auth/disable",
     .methods = "POST, OPTIONS",
     .label = "auth",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_auth_disable,
     .run = run_auth,
     .render = render_auth},
    {.path = "/auth/tokens/",
     .match = Match::prefix,
     .methods = "GET, HEAD, DELETE, OPTIONS",
     .label = "token",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .read_path = read_token_name,
     .check = check_tokens,
     .run = run_auth,
     .render = render_auth},
    {.path = "/auth/tokens",
     .methods = "GET, HEAD, POST, OPTIONS",
     .label = "tokens",
     .is_load = true,
     .access = Access::admin,
     .needs = Needs::node,
     .check = check_tokens,
     .run = run_auth,
     .render = render_auth},
    {.path = "*",  // OPTIONS only
     .methods = kEveryMethod,
     .label = "root",
     .access = Access::token,
     .check = check_no_parameter,
     .render = render_root},
};

}  // namespace

std::span<const Endpoint> endpoints() {
  return kEndpoints;
}

bool is_load(std::string_view label) {
  return std::any_of(std::begin(kEndpoints), std::end(kEndpoints),
                     [&](const Endpoint& row) { return row.is_load && row.label == label; });
}

EndpointTable::EndpointTable(std::span<const Endpoint> rows) : rows_(rows), labels_{"none"} {
  for (const Endpoint& row : rows) {
    const auto known = std::find(labels_.begin() + 1, labels_.end(), row.label);
    slots_.push_back(static_cast<std::size_t>(known - labels_.begin()));
    if (known == labels_.end()) labels_.push_back(row.label);
  }
}

const Endpoint* EndpointTable::find(std::string_view path) const {
  for (const Endpoint& row : rows_) {
    const bool fits =
        row.match == Match::exact ? path.size() == row.path.size() : path.size() >= row.path.size();
    // Compares the last byte first: it rules out nearly every other row of the same length.
    if (!fits || path[row.path.size() - 1] != row.path.back()) continue;
    if (path.starts_with(row.path)) return &row;
  }
  return nullptr;
}

}  // namespace vesper::api
