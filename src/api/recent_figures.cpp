#include "api/recent_figures.hpp"

#include <numeric>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"

namespace vesper::api {
namespace {

Totals totals_of(const Context& context) {
  Totals totals;
  for (std::size_t slot = 0; slot < context.metrics.latency.size(); ++slot)
    if (is_load(context.table().label_of(slot))) totals.requests += context.metrics.latency[slot];
  totals.fsync = context.metrics.fsync;
  const node::Counters& counters = context.node()->counters();
  totals.reads = std::accumulate(counters.reads.begin(), counters.reads.end(), std::uint64_t{0});
  totals.entries_applied = counters.entries_applied;
  totals.leader_changes = counters.leader_changes;
  totals.elections = counters.elections_started;
  return totals;
}

Sizes sizes_of(const Context& context) {
  const node::Status status = context.node()->status(context.now());
  const auto disk = context.figures().disk();
  return {.store = status.store_bytes,
          .history = status.history_bytes,
          .log = status.log_bytes,
          .log_files = disk ? disk->file_bytes : 0,
          .snapshot = status.snapshot_bytes};
}

void write_sample(const Sample& sample, json::Writer& json) {
  json.begin_object();
  json.member("at_ms", static_cast<std::uint64_t>(sample.at_ms));
  json.member("covers_ms", static_cast<std::uint64_t>(sample.covers_ms));
  json.member("requests", sample.requests);
  json.member("reads", sample.reads);
  json.member("entries_applied", sample.entries_applied);
  json.member("leader_changes", sample.leader_changes);
  json.member("elections", sample.elections);
  if (sample.latency) {
    json.member("p50_us", sample.latency->p50_us);
    json.member("p99_us", sample.latency->p99_us);
  }
  if (sample.fsync) {
    json.member("fsync_p50_us", sample.fsync->p50_us);
    json.member("fsync_p99_us", sample.fsync->p99_us);
  }
  json.member("store_bytes", sample.sizes.store);
  json.member("history_bytes", sample.sizes.history);
  json.member("log_bytes", sample.sizes.log);
  json.member("log_file_bytes", sample.sizes.log_files);
  json.member("snapshot_bytes", sample.sizes.snapshot);
  json.end_object();
}

}  // namespace

void take_sample_if_due(Context& context) {
  if (context.node() == nullptr || context.now() < context.samples.due()) return;
  context.samples.take(context.now(), totals_of(context), sizes_of(context));
}

std::optional<Problem> check_recent_figures(const Context&, const http::RequestHead& head,
                                            const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<RecentFiguresRequest>();
  for (const http::QueryParameter& parameter : query) {
    if (parameter.name != "since") return unknown_parameter(parameter);
    const auto since = http::parse_decimal(parameter.value);
    if (!since || *since >= kEndOfRevisions)
      return invalid_parameter("since", "since must be the at_ms of a sample, a whole number");
    request.since_ms = static_cast<std::int64_t>(*since);
  }
  return check_length(head, exchange, Length::optional);
}

void render_recent_figures(Context& context, const HttpExchange& exchange, Answer& answer) {
  const std::int64_t now_ms = context.now().ns / 1'000'000;
  const std::int64_t asked = std::get<RecentFiguresRequest>(exchange.request).since_ms;
  json::Writer json(answer.body);
  json.begin_object();
  json.member("at_ms", static_cast<std::uint64_t>(now_ms));
  json.member("every_ms", static_cast<std::uint64_t>(Samples::kEvery.ms()));
  json.key("samples");
  json.begin_array();
  // The clock begins again with the machine: an instant that is yet to come is of its life before.
  context.samples.each_since(asked <= now_ms ? asked : -1,
                             [&](const Sample& sample) { write_sample(sample, json); });
  json.end_array();
  json.end_object();
  answer.body += '\n';
}

}  // namespace vesper::api
