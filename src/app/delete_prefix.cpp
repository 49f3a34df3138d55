// `vesper delete --prefix P` and `--all`: one write, or one for each slice if there are too many
// keys for one.
#include <fmt/core.h>

#include <algorithm>

#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"

namespace vesper::app {
namespace {

constexpr std::uint64_t kMaxSlice = 10'000;  // the largest ?limit= that a server accepts

class DeletePrefix {
 public:
  explicit DeletePrefix(const DeletePrefixOptions& options)
      : options_(options), format_(options.cluster.output.value_or(OutputFormat::raw)) {}

  int run() {
    Query whole;
    if (options_.prefix.empty()) whole.flag("all");
    else whole.add("prefix", options_.prefix);
    const Called called = call_endpoints(options_.cluster, delete_call(whole));
    if (!called.outcome) return called.exit_code;
    const ProblemText problem = read_problem(called.outcome->reply.body);
    if (called.outcome->kind == Outcome::Kind::reply && problem.code == "range_too_large") {
      slice_ = std::clamp<std::uint64_t>(problem.limit, 1, kMaxSlice);
      note(
          fmt::format("too many keys for one write: deleting slices of up to {} keys, each with a "
                      "revision of its own",
                      slice_));
      return run_in_slices();
    }
    if (const int code = take(*called.outcome)) return code;
    return finish();
  }

 private:
  Call delete_call(const Query& range) const {
    Call call;
    call.method = "DELETE";
    call.path = "/kv";
    call.query = Query(range).append(options_.query).text();
    call.access = Access::write;
    call.idempotency_key = make_idempotency_key();
    return call;
  }

  // Goes through the range once, so that it ends even if others keep writing keys.
  int run_in_slices() {
    while (true) {
      const Last last = find_last();
      if (last.code != kExitOk) return stop(last.code);
      if (last.key.empty()) break;
      const std::string end = key_after(last.key);
      Query range;
      add_range(range, {rest_.start, end});
      // A range without bounds is everything, which has to be confirmed.
      if (range.text().empty()) range.flag("all");
      const Called called = call_endpoints(options_.cluster, delete_call(range));
      // Others may have written keys into the slice since it was listed.
      if (called.outcome->kind == Outcome::Kind::reply &&
          read_problem(called.outcome->reply.body).code == "range_too_large") {
        slice_ = std::max<std::uint64_t>(slice_ / 2, 1);
        continue;
      }
      if (const int code = take(*called.outcome)) return stop(code);
      if (end.empty()) break;
      rest_.start = end;
    }
    return finish();
  }

  // The last key of the next slice. Empty: no key is left.
  struct Last {
    int code = kExitOk;
    std::string key;
  };
  Last find_last() const {
    Query query;
    add_range(query, rest_);
    query.add("limit", slice_).flag("keys_only");
    Call call;
    call.method = "GET";
    call.path = "/kv";
    call.query = query.text();
    const Called called = call_endpoints(options_.cluster, call);
    if (const int code = report(*called.outcome, Access::read, format_)) return {code, {}};
    const auto document = parse_reply(*called.outcome);
    if (!document) return {kExitError, {}};
    const json::Value kvs = document->root().find("kvs");
    if (kvs.kind() != json::Kind::array) return {complain_of_shape(*called.outcome, "kvs"), {}};
    Last last;
    for (const auto& element : kvs) last.key = bytes_of(element.value, "key").value_or("");
    return last;
  }

  // Adds up what one write did.
  int take(const Outcome& outcome) {
    if (const int code = report(outcome, Access::write, format_)) return code;
    const auto document = parse_reply(outcome);
    if (!document) return kExitError;
    const auto deleted = document->root().find("deleted").uint64();
    if (!deleted) return complain_of_shape(outcome, "deleted");
    deleted_ += *deleted;
    revision_ = document->root().find("revision").uint64().value_or(0);
    if (format_ == OutputFormat::json) return print(outcome.reply.body, kExitOk, kTookEffect);
    return kExitOk;
  }

  int finish() const {
    if (format_ == OutputFormat::json) return kExitOk;
    const std::string deleted = std::to_string(deleted_);
    if (format_ == OutputFormat::raw) return print(deleted + "\n", kExitOk, kTookEffect);
    return print(make_table({"deleted", "revision"}, {{deleted, std::to_string(revision_)}}),
                 kExitOk, kTookEffect);
  }

  // The command failed with this code after some slices.
  int stop(int code) const {
    if (deleted_ == 0) return code;
    hint(fmt::format("{} keys were deleted before; run the command again for the rest", deleted_));
    // "Unavailable" would mean that nothing was applied.
    return code == kExitUnavailable ? kExitError : code;
  }

  const DeletePrefixOptions& options_;
  const OutputFormat format_;
  std::uint64_t slice_ = kMaxSlice;
  kv::KeyRange rest_ = kv::KeyRange::of_prefix(options_.prefix);  // what is left to delete
  std::uint64_t deleted_ = 0;
  std::uint64_t revision_ = 0;
};

}  // namespace

int run_delete_prefix(const DeletePrefixOptions& options) {
  return DeletePrefix(options).run();
}

}  // namespace vesper::app
