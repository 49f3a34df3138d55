#include "api/bulk_import.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "api/answer.hpp"
#include "api/checks.hpp"
#include "api/context.hpp"
#include "api/http_exchange.hpp"
#include "api/render.hpp"
#include "http/values.hpp"
#include "json/writer.hpp"
#include "kv/command.hpp"

namespace vesper::api {
namespace {

using LineStep = json::LineReader::Step;

constexpr std::size_t kReadAtOnce = 16u << 10;  // bytes of a long line
constexpr std::size_t kBytesPerWork = 512;      // about the bytes that one microsecond reads
constexpr std::size_t kMaxAnswer = 32u << 10;   // bytes of the answer that wait for the reader

// A problem that concerns all lines from this one on.
Problem from_line(Problem problem, std::uint64_t line) {
  problem.line = line;
  problem.detail = fmt::format("from line {} on: {}", line, problem.detail);
  return problem;
}

// The problem of a batch that was not written, or perhaps not.
Problem problem_of_batch(const node::ClientReply& reply, const std::vector<std::uint64_t>& lines) {
  if (const auto* refusal = std::get_if<node::Refusal>(&reply)) {
    Problem problem = from_line(refused(*refusal), lines.front());
    if (*refusal == node::Refusal::outcome_unknown)
      problem.hint = "import again from this line on: to write a line twice does no harm";
    return problem;
  }
  const auto& write = std::get<kv::WriteResult>(reply);
  Problem problem = problem_of(write);
  const std::size_t at = write.path.empty() ? 0 : write.path.front().at;
  problem.field.clear();
  return from_line(std::move(problem), lines[std::min(at, lines.size() - 1)]);
}

}  // namespace

std::optional<Problem> check_bulk_import(const Context&, const http::RequestHead& head,
                                         const Query& query, HttpExchange& exchange) {
  auto& request = exchange.request.emplace<BulkImportRequest>();
  for (const http::QueryParameter& parameter : query) {
    std::optional<Problem> problem;
    if (parameter.name == "timeout") problem = read_timeout(parameter, exchange);
    else if (parameter.name == "fence") problem = read_fence(parameter, request.fence);
    else problem = unknown_parameter(parameter);
    if (problem) return problem;
  }
  const http::Field* type = head.fields.find("Content-Type");
  if (type == nullptr || !http::is_media_type(type->value, kNdjson))
    return Problem{.status = 415,
                   .code = "unsupported_media_type",
                   .detail = "an import needs Content-Type: application/x-ndjson",
                   .hint = "to write one key, use PUT /kv/KEY"};
  if (auto problem = check_value_headers(head)) return problem;
  if (auto problem = refuse_conditions(head)) return problem;
  if (auto problem = refuse_idempotency_key(
          head, "an import", "import again from the first line that was not written"))
    return problem;
  exchange.keep_body = exchange.streams_body = true;
  exchange.body_limit = std::numeric_limits<std::size_t>::max();
  return check_length(head, exchange, Length::required);
}

std::unique_ptr<RequestStream> open_bulk_import(Context& context, HttpExchange& exchange) {
  const auto post = [&context, &exchange](std::uint32_t part, SharedBytes command) {
    node::Ticket ticket = exchange.ticket;
    ticket.part = part;
    if (exchange.identity) command = kv::with_identity(command.view(), exchange.identity);
    context.post(node::ClientWrite{ticket, std::move(command), context.now() + exchange.timeout});
  };
  return std::make_unique<BulkImport>(exchange, context.settings().max_value, post,
                                      std::get<BulkImportRequest>(exchange.request).fence);
}

void render_bulk_import(const HttpExchange& exchange, Answer& answer) {
  const auto& import = static_cast<const BulkImport&>(*exchange.stream);
  if (import.revision() != 0) answer.revision = import.revision();
  answer.content_type = kNdjson;
  answer.stream = exchange.stream->answer();
}

// ---- the answer

class BulkImport::Lines final : public BodyStream {
 public:
  explicit Lines(BulkImport& import) : import_(import) {}

  Next next(std::size_t room, std::string& out) override {
    std::string& text = import_.answer_;
    const std::size_t size = std::min(room, text.size());
    out.append(text, 0, size);
    text.erase(0, size);
    if (import_.finished_ && text.empty()) return import_.problem_ ? Next::failed : Next::finished;
    return size != 0 ? Next::bytes : Next::waiting;
  }
  Cut cut(Why, std::string&) override { return Cut::truncated; }

 private:
  BulkImport& import_;
};

std::unique_ptr<BodyStream> BulkImport::answer() {
  return std::make_unique<Lines>(*this);
}

// ---- lines

BulkImport::BulkImport(HttpExchange& exchange, std::size_t max_value, Post post,
                       std::optional<kv::Fence> fence)
    : exchange_(exchange), post_(std::move(post)), fence_(std::move(fence)), reader_(max_value) {}

bool BulkImport::has_room() const {
  return !is_over() && !sealed_ && answer_.size() < kMaxAnswer;
}

std::size_t BulkImport::take(std::string_view bytes, std::size_t& work) {
  std::size_t taken = 0;
  while (taken < bytes.size() && work > 0 && has_room()) {
    std::size_t consumed = 0;
    on_step(reader_.read(bytes.substr(taken, kReadAtOnce), consumed));
    taken += consumed;
    work -= std::min(work, 1 + consumed / kBytesPerWork);
  }
  settle();
  return taken;
}

void BulkImport::end() {
  if (is_over()) return;
  VESPER_ASSERT(!sealed_);
  on_step(reader_.finish());
  if (is_over()) return;
  ended_ = true;
  settle();
}

void BulkImport::abort(Problem problem) {
  if (ended_ || is_over()) return;
  fail(from_line(std::move(problem), reader_.lines() + 1));
  settle();
}

void BulkImport::on_step(LineStep step) {
  if (step == LineStep::line) return add_line();
  if (step != LineStep::error) return;
  Problem problem = api::problem_of(reader_.problem());
  problem.line = reader_.number();
  fail(std::move(problem));
}

bool BulkImport::fits(const json::LineReader::Line& line) const {
  return batch_.puts.size() < kBatchLines &&
         batch_.bytes + line.key.size() + line.value.size() <= kBatchBytes &&
         !batch_.keys.contains(line.key);
}

void BulkImport::add_line() {
  const json::LineReader::Line& line = reader_.line();
  if (!batch_.puts.empty() && !fits(line)) seal();
  if (batch_.puts.empty()) {
    batch_.puts.reserve(kBatchLines);
    batch_.lines.reserve(kBatchLines);
    batch_.keys.reserve(kBatchLines);
  }
  kv::Put put{.key = SharedBytes::copy_of(line.key), .value = SharedBytes::copy_of(line.value)};
  put.json = line.json;
  batch_.bytes += line.key.size() + line.value.size();
  batch_.keys.insert(put.key.view());
  if (first_keys_.size() < Audited::kMaxKeys) first_keys_.emplace_back(line.key);
  batch_.lines.push_back(reader_.number());
  batch_.puts.emplace_back(std::move(put));
}

// ---- batches

// Makes one command of the batch. Posts it, or keeps it until it may be posted.
void BulkImport::seal() {
  kv::Transaction transaction;
  transaction.then = std::move(batch_.puts);
  sealed_ = Sent{next_part_++, std::move(batch_.lines),
                 SharedBytes::copy_of(kv::encode(transaction, std::nullopt, fence_)), std::nullopt};
  batch_ = Batch();
  post_sealed();
}

void BulkImport::post_sealed() {
  if (!sealed_ || posted_.size() >= (wrote_ ? kBatchesPosted : 1)) return;
  posted_.push_back(std::move(*sealed_));
  sealed_.reset();
  post_(posted_.back().part, std::exchange(posted_.back().command, {}));
}

// Does what can be done after something has happened.
void BulkImport::settle() {
  if (finished_) return;
  if (refused_) {
    sealed_.reset();
    batch_ = Batch();
  }
  post_sealed();
  const bool is_last = ended_ || is_over();
  if (!sealed_ && !batch_.puts.empty() && (is_last || posted_.empty())) seal();
  if (is_last && posted_.empty() && !sealed_) finish();
}

void BulkImport::on_reply(std::uint32_t part, node::ClientReply reply) {
  const auto sent = std::find_if(posted_.begin(), posted_.end(),
                                 [&](const Sent& one) { return one.part == part; });
  if (sent == posted_.end()) return;
  sent->reply = std::move(reply);
  // The answer reports the batches in order.
  while (!posted_.empty() && posted_.front().reply) {
    on_batch(posted_.front());
    posted_.pop_front();
  }
  settle();
}

void BulkImport::on_batch(const Sent& sent) {
  const auto* write = std::get_if<kv::WriteResult>(&*sent.reply);
  if (write == nullptr || !write->is_done()) {
    // A batch that was posted after this one may still be written.
    refused_ = true;
    return fail(problem_of_batch(*sent.reply, sent.lines));
  }
  wrote_ = true;
  keys_ += sent.lines.size();
  revision_ = write->revision;
  json::Writer json(answer_);
  json.begin_object();
  json.key("lines");
  json.begin_array();
  json.number(sent.lines.front());
  json.number(sent.lines.back());
  json.end_array();
  json.member("revision", write->revision);
  json.end_object();
  answer_ += '\n';
  if (!exchange_.answered()) exchange_.outcome = Local{};
}

// An error in a line follows those of the batches before it.
void BulkImport::fail(Problem problem) {
  if (!problem_ || (problem.line && problem_->line && *problem.line < *problem_->line))
    problem_ = std::move(problem);
}

// Everything is decided: ends the answer.
void BulkImport::finish() {
  finished_ = true;
  if (problem_ && !wrote_) {
    exchange_.outcome = *problem_;
    return;
  }
  if (problem_) {
    append_error_line(answer_, *problem_);
  } else {
    json::Writer json(answer_);
    json.begin_object();
    json.member("lines", reader_.lines());
    json.member("keys", keys_);
    if (revision_ != 0) {
      json.member("revision", revision_);
    }
    json.end_object();
    answer_ += '\n';
  }
  if (!exchange_.answered()) exchange_.outcome = Local{};
}

}  // namespace vesper::api
