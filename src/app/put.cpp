// `vesper put KEY VALUE`, `put KEY -` and `put KEY --file F`.
#include "app/commands.hpp"
#include "app/kv_command.hpp"

namespace vesper::app {
namespace {

// The server decides how large a value may be. This limit only keeps an endless pipe from filling
// the memory.
constexpr std::size_t kMaxInput = std::size_t{64} << 20;

Result<std::string> value_of(const PutOptions& options) {
  if (options.file) {
    if (*options.file == "-")
      return Error{"--file \"-\": expected a file; put KEY - reads stdin", 0};
    return read_file(*options.file, kMaxInput);
  }
  if (*options.value == "-") return read_file("-", kMaxInput);
  return *options.value;
}

}  // namespace

int run_put(const PutOptions& options) {
  const OutputFormat format = options.cluster.output.value_or(OutputFormat::raw);
  auto value = value_of(options);
  if (!value) {
    complain(value.error().what);
    return kExitError;
  }
  Call call;
  call.method = "PUT";
  call.access = Access::write;
  call.body = std::move(*value);
  const auto outcome = call_kv(options.cluster, options.key, std::move(call));
  if (!outcome) return kExitUsage;
  if (const int code = report(*outcome, Access::write, format)) return code;
  return print_reply(*outcome, format, {"key", "revision", "create_revision", "version"},
                     "revision", kTookEffect);
}

}  // namespace vesper::app
