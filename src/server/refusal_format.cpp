#include "server/refusal_format.hpp"

#include "api/audit.hpp"
#include "api/problem.hpp"
#include "base/bytes.hpp"
#include "json/document.hpp"

namespace vesper::server {
namespace {

constexpr std::size_t kMaxShown = 300;  // bytes of a text that a peer sent, in the log

std::string member_of(const json::Document& document, std::string_view name,
                      std::string_view otherwise) {
  if (const auto text = document.root().find(name).string()) return escaped(*text, kMaxShown);
  return std::string(otherwise);
}

}  // namespace

void ProblemFormat::append_body(std::string& out, const peer::Refusal& refusal) {
  api::Problem problem{.status = refusal.status, .code = refusal.code, .detail = refusal.detail};
  problem.hint = refusal.hint;
  api::append_problem(out, problem);
}

peer::Refusal ProblemFormat::read_body(std::string_view body) {
  peer::Refusal refusal;
  json::Document document;
  const bool is_json = !document.parse(body);
  refusal.detail = "no reason was given";
  if (!is_json) return refusal;
  refusal.detail = member_of(document, "detail", refusal.detail);
  refusal.hint = member_of(document, "hint", "");
  if (member_of(document, "code", "") == peer::kNotAMember) refusal.code = peer::kNotAMember;
  return refusal;
}

void ProblemFormat::report(const peer::Refusal& refusal, const std::string& from) {
  api::audit_refused_peer(context_, from, refusal.status, refusal.code);
}

}  // namespace vesper::server
