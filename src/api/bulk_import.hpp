// POST /kv: imports NDJSON, a key and its value in each line, of any total size. The lines are
// written in batches, each of them one transaction, and the answer has a line for each batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "api/audit.hpp"
#include "api/forward.hpp"
#include "api/request_stream.hpp"
#include "base/bytes.hpp"
#include "json/line_reader.hpp"
#include "kv/command.hpp"
#include "kv/operation.hpp"

namespace vesper::api {

struct BulkImportRequest {
  std::optional<kv::Fence> fence;  // of every batch
};

std::optional<Problem> check_bulk_import(const Context& context, const http::RequestHead& head,
                                         const Query& query, HttpExchange& exchange);
std::unique_ptr<RequestStream> open_bulk_import(Context& context, HttpExchange& exchange);
// Requires an exchange whose stream is an BulkImport.
void render_bulk_import(const HttpExchange& exchange, Answer& answer);

// The import itself. A batch ends when it is full, before a key that it already has, and when no
// other batch is on its way, so that a slow sender does not wait. Until the first batch is written,
// no other one is sent: if it is refused, nothing was applied, and the answer is a plain problem.
class BulkImport final : public RequestStream {
 public:
  // In bounds that keep the turns short that apply a batch.
  static constexpr std::size_t kBatchLines = 500;
  static constexpr std::size_t kBatchBytes =
      1u << 20;  // of keys and values; a single one may have more
  static constexpr std::size_t kBatchesPosted = 4;  // at a time

  // Posts the command of a write to the node.
  using Post = std::function<void(std::uint32_t part, SharedBytes command)>;

  // Both outlive the import. `max_value`: bytes of a value.
  BulkImport(HttpExchange& exchange, std::size_t max_value, Post post,
             std::optional<kv::Fence> fence = std::nullopt);

  std::size_t take(std::string_view bytes, std::size_t& work) override;
  void end() override;
  void abort(Problem problem) override;
  void on_reply(std::uint32_t part, node::ClientReply reply) override;
  bool has_room() const override;
  bool is_over() const override { return problem_.has_value(); }
  bool has_unposted() const override { return sealed_ || !batch_.puts.empty(); }
  bool is_posted() const override { return !posted_.empty(); }
  std::size_t held() const override { return reader_.held() + batch_.bytes; }
  std::unique_ptr<BodyStream> answer() override;

  // Of the last batch that was written; 0: none.
  std::uint64_t revision() const { return revision_; }
  // The first keys, up to Audited::kMaxKeys.
  const std::vector<std::string>& first_keys() const { return first_keys_; }

 private:
  class Lines;

  // Lines that are not yet sent.
  struct Batch {
    std::vector<kv::Operation> puts;
    std::vector<std::uint64_t> lines;  // of the puts
    std::unordered_set<std::string_view> keys;
    std::size_t bytes = 0;
  };
  struct Sent {
    std::uint32_t part = 0;
    std::vector<std::uint64_t> lines;
    SharedBytes command;  // until it is posted
    std::optional<node::ClientReply> reply;
  };

  void on_step(json::LineReader::Step step);
  void add_line();
  bool fits(const json::LineReader::Line& line) const;
  void seal();
  void settle();
  void post_sealed();
  void on_batch(const Sent& sent);
  void fail(Problem problem);
  void finish();

  HttpExchange& exchange_;
  const Post post_;
  const std::optional<kv::Fence> fence_;
  json::LineReader reader_;
  Batch batch_;
  std::deque<Sent> posted_;     // in order
  std::optional<Sent> sealed_;  // waits until it may be posted
  std::uint32_t next_part_ = 0;

  bool ended_ = false;    // all lines were read
  bool refused_ = false;  // a batch was not written: no more are sent
  bool wrote_ = false;    // a batch was written
  bool finished_ = false;
  std::optional<Problem> problem_;  // the first error
  std::uint64_t keys_ = 0;
  std::vector<std::string> first_keys_;
  std::uint64_t revision_ = 0;
  std::string answer_;  // lines of the answer that are not sent yet
};

}  // namespace vesper::api
