// main(): parses the command line and dispatches to a command.
#include "app/commands.hpp"
#include "app/credential.hpp"
#include "app/printable.hpp"
#include "app/server_command.hpp"
#include "app/stdio.hpp"

namespace {

using namespace vesper::app;

struct Run {
  int operator()(const ExitNow& exit) const { return exit.code; }
  int operator()(const ServerOptions& options) const { return run_server(options); }
  int operator()(const ClientOptions& options) const { return run_client(options); }
  int operator()(const GetOptions& options) const { return run_get(options); }
  int operator()(const PutOptions& options) const { return run_put(options); }
  int operator()(const AppendOptions& options) const { return run_append(options); }
  int operator()(const IncrementOptions& options) const { return run_increment(options); }
  int operator()(const DeleteOptions& options) const { return run_delete(options); }
  int operator()(const DeletePrefixOptions& options) const { return run_delete_prefix(options); }
  int operator()(const HistoryOptions& options) const { return run_history(options); }
  int operator()(const RestoreOptions& options) const { return run_restore(options); }
  int operator()(const ListOptions& options) const { return run_list(options); }
  int operator()(const TxnOptions& options) const { return run_txn(options); }
  int operator()(const CompactOptions& options) const { return run_compact(options); }
  int operator()(const ExportOptions& options) const { return run_export(options); }
  int operator()(const ImportOptions& options) const { return run_import(options); }
  int operator()(const WatchOptions& options) const { return run_watch(options); }
  int operator()(const LeaseOptions& options) const { return run_lease(options); }
  int operator()(const LockOptions& options) const { return run_lock(options); }
  int operator()(const StatusOptions& options) const { return run_status(options); }
  int operator()(const TopOptions& options) const { return run_top(options); }
  int operator()(const TransferOptions& options) const { return run_cluster(options); }
  int operator()(const AuthOptions& options) const { return run_auth(options); }
  int operator()(const RecoverOptions& options) const { return run_recover(options); }
  int operator()(const ClusterStatusOptions& options) const { return run_cluster_status(options); }
  int operator()(const MembersOptions& options) const { return run_members(options); }
  int operator()(const DevOptions& options) const { return run_dev(options); }
  int operator()(const PkiOptions& options) const { return run_pki(options); }
  int operator()(const CompletionOptions& options) const { return run_completion(options); }
  int operator()(const ManualOptions& options) const { return run_manual(options); }
};

// Returns the exit code of a command whose token cannot be read, or kExitOk.
int prepare_token(const Options& options) {
  const auto file_of = [](const auto& command) -> std::optional<std::string> {
    if constexpr (requires { command.cluster.token_file; }) return command.cluster.token_file;
    else if constexpr (requires { command.token_file; }) return command.token_file;
    else return std::nullopt;
  };
  const auto loaded = load_token(std::visit(file_of, options));
  if (loaded) return kExitOk;
  complain(loaded.error().what);
  return kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_standard_descriptors();
  use_locale();
#ifdef VESPER_FEATURE_LEVEL
  lower_feature_level(VESPER_FEATURE_LEVEL);
#endif
  const Options options = parse_options(argc, argv);
  const bool is_server = std::holds_alternative<ServerOptions>(options);
  if (!is_server)
    if (const int code = prepare_token(options); code != kExitOk) return code;
  return std::visit(Run(), options);
}
