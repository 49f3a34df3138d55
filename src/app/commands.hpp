// The commands, one .cpp file each. Each prints its result and returns the exit code (stdio.hpp).
// main.cpp chooses among them.
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
