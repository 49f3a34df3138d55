// The parts that several commands share.
#include "app/kv_command.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

#include "app/endpoints.hpp"
#include "base/bytes.hpp"
#include "crypto/random.hpp"
#include "http/target.hpp"

namespace vesper::app {

std::optional<Outcome> call_kv(const ClusterOptions& options, std::string_view key, Call call) {
  if (key.empty() || key.size() > json::kMaxKey) {
    complain(fmt::format("the key has {} bytes, expected 1 to {}", key.size(), json::kMaxKey));
    return std::nullopt;
  }
  // One key per command run, so that a write that is sent several times is applied once.
  if (call.access == Access::write) call.idempotency_key = to_hex(crypto::random128());
  call.path = "/kv/";
  http::percent_encode_path(key, call.path);
  return call_endpoints(options, call);
}

std::optional<Outcome> call_endpoints(const ClusterOptions& options, const Call& call) {
  const auto endpoints = find_endpoints(options.endpoints ? &*options.endpoints : nullptr,
                                        std::getenv("VESPER_ENDPOINTS"));
  if (!endpoints) {
    complain(endpoints.error().what);
    return std::nullopt;
  }
  return call_cluster(endpoints.value(), call, options.timeout);
}

std::string cell(const json::Value& value) {
  if (const auto text = value.string()) return escaped(*text);
  if (const auto number = value.number()) return escaped(*number);
  if (const auto boolean = value.boolean()) return *boolean ? "true" : "false";
  return "-";
}

std::string make_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

int print_reply(const Outcome& outcome, OutputFormat format,
                const std::vector<std::string_view>& columns, std::string_view raw,
                std::string_view lost_hint) {
  if (format == OutputFormat::json) return print(outcome.reply.body, kExitOk, lost_hint);
  json::Document document;
  const auto problem = document.parse(outcome.reply.body);
  const json::Value root = document.root();
  if (problem || !root.find(raw).exists()) {
    complain(fmt::format("{}: the reply has no \"{}\"", outcome.detail, raw));
    return kExitError;
  }
  if (format == OutputFormat::raw) return print(cell(root.find(raw)) + "\n", kExitOk, lost_hint);
  std::vector<std::vector<std::string>> rows(2);
  for (const std::string_view name : columns) {
    json::Value value = root.find(name);
    if (!value.exists()) value = root.find(std::string(name) + "_base64");
    rows[0].emplace_back(name);
    rows[1].push_back(cell(value));
  }
  return print(make_table(rows), kExitOk, lost_hint);
}

}  // namespace vesper::app
