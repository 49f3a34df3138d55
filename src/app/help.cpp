// The texts of --help.
#include "app/help.hpp"

namespace vesper::app {

std::string_view main_help() {
  return R"(Examples:
  vesper server 0 ip_list.txt                       run the first server of the list
  vesper put name 'Kyle Chard'                      write
  vesper get name                                   read what the cluster has agreed on
  vesper status                                     who leads, who is down, who lags
  vesper client http://127.0.0.1:5000 name          the seed project's client

Usage: vesper [flags] COMMAND ...

Commands:
  server <id> <ip-list-file>       run one node of a cluster
  client <address> <key> [value]   GET or PUT /request: prints the JSON reply
  get KEY                          print a value
  put KEY VALUE                    write a value, from an argument, stdin or a file
  delete KEY                       delete a key
  status                           a table of all nodes
  cluster transfer [ID]            let another node lead

`vesper COMMAND --help` has the flags and examples of each.

  --version   print the version
  --help      print this

The cluster is found by --endpoints, else VESPER_ENDPOINTS, else ./ip_list.txt, else
http://127.0.0.1:5000.

Exit codes: 0 ok, 1 error, 2 usage or a bad list, 3 key not found, 4 precondition failed,
5 unavailable (nothing was applied), 6 outcome of a write unknown.
)";
}

std::string_view examples_of(std::string_view command) {
  if (command == "server")
    return R"(Examples:
  vesper server 0 ip_list.txt
  vesper server 2 /etc/vesper/ip_list.txt --data-dir /var/lib/vesper
  vesper server 1 ip_list.txt --listen 0.0.0.0:5001 --peer-key-file peers.key

The list has one http://host:port a line; <id> counts its lines from 0. Data is kept in
vesper-data/<id> beside the list.
)";
  if (command == "client")
    return R"(Examples:
  vesper client http://127.0.0.1:5000 name 'Kyle Chard'
  vesper client http://127.0.0.1:5000 name
  vesper client 127.0.0.1:5000 balance -5

Writes with a value, reads without one, and prints the JSON reply as one line. Flags stand before
the address: what follows it is taken as it is.
)";
  if (command == "get")
    return R"(Examples:
  vesper get name
  vesper get photo > photo.jpg
  vesper get name -o json
  vesper get --endpoints 127.0.0.1:5000,127.0.0.1:5001 name
  vesper get name --consistency stale --max-staleness 1s

Prints the value's bytes and nothing else, and a newline on a terminal only.
)";
  if (command == "put")
    return R"(Examples:
  vesper put name 'Kyle Chard'
  vesper put photo --file photo.jpg
  date | vesper put now -
  vesper put -- temperature -5

Prints the revision of the store that the write made. What gets no answer is asked for again, at the
next endpoint and under the same Idempotency-Key, so that it is written once.
)";
  if (command == "delete")
    return R"(Examples:
  vesper delete name
  vesper delete name -o json

Prints how many keys were deleted; 0 is no error.
)";
  if (command == "cluster")
    return R"(Examples:
  vesper cluster transfer                           let any other node lead
  vesper cluster transfer 2                         let node 2 lead

Prints the address of the new leader, which has committed by then.
)";
  if (command == "status")
    return R"(Examples:
  vesper status
  vesper status --json
  vesper status --endpoints http://127.0.0.1:5000 && echo a leader serves

Asks every node for its own view. Exits with 0 while a leader serves, else with 5.
)";
  return {};
}

}  // namespace vesper::app
