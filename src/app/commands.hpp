// The commands. Each prints its result and returns the exit code (stdio.hpp). main.cpp chooses
// among them.
#pragma once

#include "app/options.hpp"

namespace vesper::app {

int run_client(const ClientOptions& options);
int run_get(const GetOptions& options);
int run_put(const PutOptions& options);
int run_append(const AppendOptions& options);
int run_increment(const IncrementOptions& options);
int run_delete(const DeleteOptions& options);
int run_delete_prefix(const DeletePrefixOptions& options);
int run_history(const HistoryOptions& options);
int run_restore(const RestoreOptions& options);
int run_list(const ListOptions& options);
int run_txn(const TxnOptions& options);
int run_compact(const CompactOptions& options);
int run_export(const ExportOptions& options);
int run_import(const ImportOptions& options);
int run_watch(const WatchOptions& options);
int run_lease(const LeaseOptions& options);
int run_lock(const LockOptions& options);
int run_status(const StatusOptions& options);
int run_top(const TopOptions& options);
int run_cluster(const TransferOptions& options);
int run_auth(const AuthOptions& options);
int run_recover(const RecoverOptions& options);
int run_cluster_status(const ClusterStatusOptions& options);
int run_members(const MembersOptions& options);
int run_dev(const DevOptions& options);
int run_pki(const PkiOptions& options);
int run_completion(const CompletionOptions& options);
int run_manual(const ManualOptions& options);

}  // namespace vesper::app
