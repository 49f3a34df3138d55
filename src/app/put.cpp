// The commands that write one key: put, append, increment, and history --restore.
#include "app/commands.hpp"
#include "app/kv_command.hpp"
#include "app/query.hpp"

namespace vesper::app {
namespace {

// Makes the call and prints what it did. `raw` is the member that is printed as raw text.
int run_write(const ClusterOptions& options, std::string_view key, Call call,
              const std::vector<std::string_view>& columns, std::string_view raw) {
  call.access = Access::write;
  return print_outcome(call_kv(options, key, std::move(call)), options, Access::write, columns,
                       raw);
}

}  // namespace

int run_put(const PutOptions& options) {
  Call call;
  call.method = "PUT";
  call.query = options.query;
  if (const int code = load_body(options.cluster, options.value, call)) return code;
  return run_write(options.cluster, options.key, std::move(call),
                   {"key", "revision", "create_revision", "version"}, "revision");
}

int run_append(const AppendOptions& options) {
  Call call;
  call.method = "POST";
  call.query = Query("append").append(options.query).text();
  if (const int code = load_body(options.cluster, options.suffix, call)) return code;
  return run_write(options.cluster, options.key, std::move(call),
                   {"key", "revision", "create_revision", "version"}, "revision");
}

int run_increment(const IncrementOptions& options) {
  Call call;
  call.method = "POST";
  call.query = Query().add("increment", options.by).append(options.query).text();
  return run_write(options.cluster, options.key, std::move(call),
                   {"key", "value", "revision", "version"}, "value");
}

int run_restore(const RestoreOptions& options) {
  Call call;
  call.method = "POST";
  call.query = Query().add("restore", options.revision).text();
  return run_write(options.cluster, options.key, std::move(call),
                   {"key", "revision", "create_revision", "version", "deleted"}, "revision");
}

}  // namespace vesper::app
