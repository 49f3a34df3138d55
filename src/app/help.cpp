// The texts of --help.
#include "app/help.hpp"

namespace vesper::app {

std::string_view main_help() {
  return R"(Examples:
  vesper server 0 ip_list.txt                       run the first server of the list
  vesper put name 'Kyle Chard'                      write
  vesper get name                                   read
  vesper status                                     show which nodes lead, lag or are down
  vesper client http://127.0.0.1:5000 name          the seed project's client

Usage: vesper [flags] COMMAND ...

Commands:
  server <id> <ip-list-file>       run one node of a cluster
  client <address> <key> [value]   send GET or PUT /request, print the JSON reply
  get KEY                          print a value
  put KEY VALUE                    write a value, from an argument, stdin or a file
  delete KEY                       delete a key
  status                           print a table of all nodes
  cluster transfer [ID]            move leadership to another node

`vesper COMMAND --help` shows the flags of a command, and examples.

  --version   print the version
  --help      print this help

The addresses of the nodes come from --endpoints, else VESPER_ENDPOINTS, else ./ip_list.txt, else
http://127.0.0.1:5000.

Exit codes: 0 ok, 1 error, 2 wrong usage or bad list, 3 key not found, 4 precondition failed,
5 unavailable (nothing was applied), 6 unknown outcome of a write.
)";
}

std::string_view examples_of(std::string_view command) {
  if (command == "server")
    return R"(Examples:
  vesper server 0 ip_list.txt
  vesper server 2 /etc/vesper/ip_list.txt --data-dir /var/lib/vesper
  vesper server 1 ip_list.txt --listen 0.0.0.0:5001 --peer-key-file peers.key

The list has one http://host:port per line. <id> is the number of the node's line, counted from 0.
Blank lines and lines that begin with # do not count. The node keeps its data in vesper-data/<id>
beside the list.
)";
  if (command == "client")
    return R"(Examples:
  vesper client http://127.0.0.1:5000 name 'Kyle Chard'
  vesper client http://127.0.0.1:5000 name
  vesper client 127.0.0.1:5000 balance -5

With a value it writes, without one it reads. It prints the JSON reply on one line. Put flags before
the address: an argument after the address is never a flag.
)";
  if (command == "get")
    return R"(Examples:
  vesper get name
  vesper get photo > photo.jpg
  vesper get name -o json
  vesper get --endpoints 127.0.0.1:5000,127.0.0.1:5001 name
  vesper get name --consistency stale --max-staleness 1s

Prints the bytes of the value and nothing else. It adds a newline only on a terminal.
)";
  if (command == "put")
    return R"(Examples:
  vesper put name 'Kyle Chard'
  vesper put photo --file photo.jpg
  date | vesper put now -
  vesper put -- temperature -5

Prints the revision that the write gave the store. If a write gets no reply, the command retries it
at the next endpoint with the same Idempotency-Key, so that it is applied only once.
)";
  if (command == "delete")
    return R"(Examples:
  vesper delete name
  vesper delete name -o json

Prints the number of deleted keys. 0 is not an error.
)";
  if (command == "cluster")
    return R"(Examples:
  vesper cluster transfer                           move leadership to any other node
  vesper cluster transfer 2                         move leadership to node 2

Prints the address of the new leader once it has committed an entry.
)";
  if (command == "status")
    return R"(Examples:
  vesper status
  vesper status --json
  vesper status --endpoints http://127.0.0.1:5000 && echo a leader serves

Asks every node for its own view of the cluster. Exits with 0 if a leader serves, else with 5.
)";
  return {};
}

}  // namespace vesper::app
