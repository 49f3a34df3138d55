#include "api/watch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/read_options.hpp"
#include "http/values.hpp"
#include "kv/item.hpp"

namespace vesper::api {
namespace {

constexpr std::string_view kEventStream = "text/event-stream";
constexpr std::string_view kLastEventId = "Last-Event-ID";
constexpr std::uint64_t kEndOfParts = std::uint64_t{1} << 31;

struct Parameters {
  std::vector<node::SpaceRange> ranges;
  node::WatchFilter::Kinds kinds = node::WatchFilter::Kinds::all;
  std::optional<node::WatchId> since;
  std::optional<WatchForm> form;
  bool initial = false, prev = false;
};

// Reads "7" or "7.2".
std::optional<node::WatchId> parse_id(std::string_view text) {
  const std::size_t dot = text.find('.');
  const auto revision = http::parse_decimal(text.substr(0, dot));
  if (!revision || *revision >= kEndOfRevisions) return std::nullopt;
  if (dot == std::string_view::npos) return node::WatchId{*revision, 0};
  const auto part = http::parse_decimal(text.substr(dot + 1));
  if (!part || *part == 0 || *part >= kEndOfParts) return std::nullopt;
  return node::WatchId{*revision, static_cast<std::uint32_t>(*part)};
}

bool is_filter(std::string_view name) {
  return name == "prefix" || name == "key" || name == "lock" || name == "election";
}

std::optional<Problem> read_filter(const Context& context, const http::QueryParameter& parameter,
                                   std::vector<node::SpaceRange>& ranges) {
  if (auto problem = check_bound(parameter)) return problem;
  const std::size_t most = context.settings().max_watch_filters;
  if (ranges.size() >= most) {
    Problem problem = invalid_parameter(
        parameter.name,
        fmt::format("a watch may have {} filters; use a prefix for many keys", most));
    problem.limit = most;
    return problem;
  }
  const kv::Space space = parameter.name == "lock"       ? kv::Space::locks
                          : parameter.name == "election" ? kv::Space::elections
                                                         : kv::Space::keys;
  ranges.push_back({space, parameter.name == "prefix" ? kv::KeyRange::of_prefix(parameter.value)
                                                      : kv::KeyRange::of_key(parameter.value)});
  return std::nullopt;
}

std::optional<Problem> read_since(const http::QueryParameter& parameter,
                                  std::optional<node::WatchId>& since) {
  since = parse_id(parameter.value);
  if (since) return std::nullopt;
  return invalid_parameter("since", "since must be the id of an event, such as 7 or 7.2");
}

std::optional<Problem> read_kinds(const http::QueryParameter& parameter,
                                  node::WatchFilter::Kinds& kinds) {
  if (parameter.value == "put") kinds = node::WatchFilter::Kinds::puts;
  else if (parameter.value == "delete") kinds = node::WatchFilter::Kinds::deletes;
  else return invalid_parameter("events", "events must be put or delete");
  return std::nullopt;
}

std::optional<Problem> read_form(const http::QueryParameter& parameter,
                                 std::optional<WatchForm>& form) {
  if (parameter.value == "sse") form = WatchForm::events;
  else if (parameter.value == "ndjson") form = WatchForm::lines;
  else return invalid_parameter("format", "format must be sse or ndjson");
  return std::nullopt;
}

std::optional<Problem> read_parameter(const Context& context, const http::QueryParameter& parameter,
                                      Parameters& parameters) {
  if (is_filter(parameter.name)) return read_filter(context, parameter, parameters.ranges);
  if (parameter.name == "since") return read_since(parameter, parameters.since);
  if (parameter.name == "initial") return read_flag(parameter, parameters.initial);
  if (parameter.name == "prev") return read_flag(parameter, parameters.prev);
  if (parameter.name == "events") return read_kinds(parameter, parameters.kinds);
  if (parameter.name == "format") return read_form(parameter, parameters.form);
  return unknown_parameter(parameter);
}

// A reconnecting EventSource repeats the URL and adds the id of the last event. So that id wins
// over `since` and `initial`.
std::optional<Problem> read_last_event_id(const http::RequestHead& head, Parameters& parameters) {
  const http::Field* field = head.fields.find(kLastEventId);
  if (field == nullptr) return std::nullopt;
  if (head.fields.count(kLastEventId) > 1)
    return invalid_header(kLastEventId, "Last-Event-ID appears more than once");
  parameters.since = parse_id(field->value);
  parameters.initial = false;
  if (parameters.since) return std::nullopt;
  return invalid_header(kLastEventId, "Last-Event-ID must be the id of an event, such as 7 or 7.2");
}

}  // namespace

std::optional<Problem> check_watch(const Context& context, const http::RequestHead& head,
                                   const Query& query, HttpExchange& exchange) {
  Parameters parameters;
  for (const http::QueryParameter& parameter : query)
    if (auto problem = read_parameter(context, parameter, parameters)) return problem;
  if (parameters.initial && parameters.since)
    return invalid_parameter("initial", "initial and since exclude each other");
  if (auto problem = read_last_event_id(head, parameters)) return problem;
  if (auto problem = refuse_conditions(head)) return problem;
  if (parameters.ranges.empty())
    parameters.ranges.push_back({kv::Space::keys, kv::KeyRange::all()});
  const auto begin = parameters.initial ? node::WatchRequest::Begin::with_state
                                        : node::WatchRequest::Begin::with_events;
  const bool lines =
      parameters.form ? *parameters.form == WatchForm::lines : prefers_lines(head, kEventStream);
  exchange.request = WatchRequest{
      .watch = {.filter = node::WatchFilter(std::move(parameters.ranges), parameters.kinds),
                .begin = begin,
                .since = parameters.since,
                .prev = parameters.prev ? kv::Prev::include : kv::Prev::omit},
      .form = lines ? WatchForm::lines : WatchForm::events,
      .accept_decides = !parameters.form.has_value()};
  return std::nullopt;
}

void render_watch(Context& context, const HttpExchange& exchange, Answer& answer) {
  const auto& request = std::get<WatchRequest>(exchange.request);
  if (context.shutting_down()) return render_problem(refused(node::Refusal::shutting_down), answer);
  if (auto problem = judge_watch(context, exchange, request.watch.filter.ranges()))
    return render_problem(*problem, answer);
  node::Node* node = context.node();
  if (node != nullptr && node->divergence())
    return render_problem(refused(node::Refusal::diverged), answer);
  if (node == nullptr) {
    answer.stream =
        std::make_unique<WatchEvents>(context, exchange.ticket, request.watch, request.form);
  } else {
    auto stream = node->watches().open(exchange.ticket, request.watch, context.now());
    if (stream == nullptr) return render_problem(watch_refused(context), answer);
    answer.stream = std::make_unique<WatchEvents>(context, std::move(stream), request.form);
    answer.revision = node->store().revision();
  }
  answer.content_type = request.form == WatchForm::lines ? kNdjson : kEventStream;
  answer.varies = request.accept_decides;
}

}  // namespace vesper::api
