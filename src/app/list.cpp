// `vesper list [PREFIX]`: prints the pages of GET /kv one after another, all at one revision.
#include <unistd.h>

#include <algorithm>

#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"
#include "json/text.hpp"

namespace vesper::app {
namespace {

constexpr std::uint64_t kTablePage = 1'000;  // with values; a person reads the first page first

// A key, or a prefix that stands for many.
struct Entry {
  std::string name;
  json::Value key;  // missing: a prefix
};

class ListCommand {
 public:
  explicit ListCommand(const ListOptions& options)
      : options_(options),
        format_(table_on_terminal(options.cluster)),
        shows_values_(options.content == ListOptions::Content::by_format &&
                      format_ != OutputFormat::raw),
        most_(options.limit.value_or(UINT64_MAX)),
        table_(header(), stdout_colours()) {}

  int run() {
    while (true) {
      const Called called = call_endpoints(options_.cluster, page_call());
      if (!called.outcome) return called.exit_code;
      const Outcome& outcome = *called.outcome;
      if (const int code = report(outcome, Access::read, format_)) return code;
      const auto document = parse_reply(outcome);
      if (!document) return kExitError;
      if (options_.content == ListOptions::Content::count)
        return print_reply(outcome, format_, {"count", "revision"}, "count");
      const json::Value kvs = document->root().find("kvs");
      if (kvs.kind() != json::Kind::array) return complain_of_shape(outcome, "kvs");
      if (const int code = print_page(outcome, document->root())) return code;
      next_ = document->root().find("next").string().value_or("");
      // The page that answers a limit says itself whether there is more.
      const bool is_one_page = options_.limit && format_ == OutputFormat::json;
      if (next_.empty() || printed_ >= most_ || is_one_page) return kExitOk;
    }
  }

 private:
  Row header() const {
    if (shows_values_) return {"KEY", "REVISION", "VERSION", "VALUE"};
    return {"KEY", "REVISION", "VERSION"};
  }

  Call page_call() const {
    Query query(options_.range);
    if (options_.content == ListOptions::Content::count) {
      query.flag("count_only");
    } else {
      // Equal for all pages, since a server accepts `next` only with the same parameters.
      const bool is_short = shows_values_ && !(options_.limit && format_ == OutputFormat::json);
      query.add("limit", std::min(most_, is_short ? kTablePage : ListOptions::kMaxPage));
      if (!shows_values_) query.flag("keys_only");
    }
    if (options_.reverse) query.flag("reverse");
    if (options_.separator) query.add("separator", *options_.separator);
    query.append(options_.query);
    if (!next_.empty()) query.add("next", next_);
    Call call;
    call.method = "GET";
    call.path = "/kv";
    call.query = query.text();
    return call;
  }

  // In the order of the list.
  std::vector<Entry> entries_of(const json::Value& page) const {
    std::vector<Entry> entries;
    for (const auto& element : page.find("kvs"))
      entries.push_back({bytes_of(element.value, "key").value_or(""), element.value});
    for (const auto& element : page.find("prefixes"))
      entries.push_back({std::string(element.value.string().value_or("")), {}});
    for (const auto& element : page.find("prefixes_base64"))
      entries.push_back(
          {json::decode_base64(element.value.string().value_or("")).value_or(""), {}});
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
      return options_.reverse ? b.name < a.name : a.name < b.name;
    });
    return entries;
  }

  int print_page(const Outcome& outcome, const json::Value& page) {
    std::vector<Entry> entries = entries_of(page);
    if (format_ != OutputFormat::json) entries.resize(std::min(entries.size(), most_ - printed_));
    printed_ += entries.size();
    if (format_ == OutputFormat::json) return print(outcome.reply.body);
    if (format_ == OutputFormat::table) return print(table_.lines(rows_of(entries)));
    std::string out;
    for (const Entry& entry : entries) {
      out += entry.name;
      out += options_.ends_with_nul ? '\0' : '\n';
    }
    return print(out);
  }

  std::vector<Row> rows_of(const std::vector<Entry>& entries) const {
    const std::size_t columns = terminal_columns(STDOUT_FILENO);
    std::vector<Row> rows;
    std::size_t widest = 0;
    for (const Entry& entry : entries) {
      Cell name = Cell::of_bytes(entry.name, std::max(columns / 2, Cell::kLeastColumns));
      if (!entry.key.exists()) name.style = Style::blue;
      Row row = {std::move(name), cell(entry.key.find("revision")),
                 cell(entry.key.find("version"))};
      widest = std::max(widest, row[0].columns + std::max<std::size_t>(row[1].columns, 8) +
                                    std::max<std::size_t>(row[2].columns, 7) + 6);
      rows.push_back(std::move(row));
    }
    if (!shows_values_) return rows;
    const std::size_t room = std::max(columns - std::min(columns, widest), Cell::kLeastColumns);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto value = bytes_of(entries[i].key, "value");
      rows[i].push_back(value ? Cell::of_bytes(*value, room) : Cell("-"));
    }
    return rows;
  }

  const ListOptions& options_;
  const OutputFormat format_;
  const bool shows_values_;
  const std::uint64_t most_;  // keys to print
  Table table_;
  std::string next_;  // of the last page; empty before the first
  std::uint64_t printed_ = 0;
};

}  // namespace

int run_list(const ListOptions& options) {
  return ListCommand(options).run();
}

}  // namespace vesper::app
