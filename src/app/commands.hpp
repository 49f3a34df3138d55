// The commands, one file each. Each prints and returns the exit code (call.hpp).
#pragma once

#include "app/options.hpp"

namespace vesper::app {

int run_client(const ClientOptions& options);
int run_get(const GetOptions& options);
int run_put(const PutOptions& options);
int run_delete(const DeleteOptions& options);
int run_status(const StatusOptions& options);
int run_cluster(const TransferOptions& options);

}  // namespace vesper::app
