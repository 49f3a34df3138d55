#include "app/help.hpp"

#include <fmt/core.h>

#include <array>

namespace vesper::app {
namespace {

constexpr HelpText kTexts[] = {
    {"server", "<id> <ip-list-file> | --join URL --address URL", "run one node of a cluster",
     R"(vesper server 0 ip_list.txt
vesper server 2 /etc/vesper/ip_list.txt --data-dir /var/lib/vesper
vesper server 1 ip_list.txt --listen 0.0.0.0:5001 --peer-key-file peers.key
vesper server --join http://a:5000 --address http://d:5000 --data-dir /var/lib/vesper
vesper server 0 ip_list.txt --tls-cert a.crt --tls-key a.key --tls-ca ca.crt
)",
     R"(The list has one http://host:port or https://host:port per line; https means TLS there, for
clients and nodes alike. <id> is the number of the node's line, counted
from 0. Blank lines and lines that begin with # do not count. The node keeps its data in
vesper-data/<id> beside the list.

With --join it is a node that the list does not name. It waits until `vesper cluster add` adds it,
and the others reach it at --address. Restart it with the same flags, with its data or without.
)"},
    {"dev", "", "start a cluster to play with, and its web page",
     R"(vesper dev
vesper dev --nodes 3
vesper dev --dir playground --port 7000
vesper dev --tls
)",
     R"(Starts the nodes as child processes on free loopback ports, waits until a leader serves, and
prints the address of the web page. SIGINT (Ctrl-C), SIGTERM and SIGHUP end all nodes. A node
that ends earlier is reported, and not started again.

Without --dir, data and logs are in a temporary directory, which is removed at the end. With
--dir they are kept, and the same command starts the same cluster again.

With --tls it makes an authority and certificates in DIR/pki, as vesper pki does, and says how to
trust them.
)"},
    {"client", "<address> <key> [value]", "the seed project's client: send GET or PUT /request",
     R"(vesper client http://127.0.0.1:5000 name 'Kyle Chard'
vesper client http://127.0.0.1:5000 name
vesper client 127.0.0.1:5000 balance -5
)",
     R"(With a value it writes, without one it reads. It prints the JSON reply on one line. Put
flags before the address: an argument after the address is never a flag.
)"},
    {"get", "KEY", "print a value",
     R"(vesper get name
vesper get photo > photo.jpg
vesper get name -o json
vesper get name --revision 7
vesper get --endpoints 127.0.0.1:5000,127.0.0.1:5001 name
vesper get name --consistency stale --max-staleness 1s
)",
     R"(Prints the bytes of the value and nothing else. It adds a newline only on a terminal.
)"},
    {"put", "KEY VALUE", "write a value, from an argument, stdin or a file",
     R"(vesper put name 'Kyle Chard'
vesper put photo --file photo.jpg
date | vesper put now -
vesper put -- temperature -5
vesper put session/7 ada --ttl 10m
vesper put worker/7 10.0.0.7 --lease 17
vesper put report done --fence nightly:42
)",
     R"(Prints the revision that the write gave the store. If a write gets no reply, the command
retries it at the next endpoint with the same Idempotency-Key, so that it is applied only
once.

A put without --ttl, --lease or --keep-ttl removes the time to live that the key had. With
--fence, the write is refused (exit code 4) unless the lock or election of this name is held
with this token.
)"},
    {"delete", "KEY", "delete a key, or all keys with a prefix",
     R"(vesper delete name
vesper delete --prefix users/
vesper delete --all
vesper delete name -o json
)",
     R"(Prints the number of deleted keys. 0 is not an error.

A prefix or --all is one write with one revision, unless there are too many keys. In that
case the command deletes them in slices with a revision each, and says so on stderr.
)"},
    {"increment", "KEY [BY]", "add to a number, and print the sum",
     R"(vesper increment visits
vesper increment stock -5
)",
     R"(An absent key counts as 0. Without BY it adds 1. The sum has 64 bits with a sign. If the
value is not a number, or the sum is too large, nothing changes and the exit code is 1.
)"},
    {"append", "KEY VALUE", "append bytes to a value",
     R"(vesper append log $'one more line\n'
date | vesper append log -
vesper append log --file lines.txt
)",
     R"(An absent key counts as empty. Prints the revision that the write gave the store.
)"},
    {"history", "KEY", "the versions of a key, or restore one",
     R"(vesper history name
vesper history name --limit 3 -o json
vesper history name --restore 7
)",
     R"(Prints the versions of the key that are still readable, newest first: revision, version and
value. When the output is not a terminal, tabs separate the columns, and the value is
complete and escaped.

--restore N writes what the key held at revision N as its newest version, or deletes the key
if it was absent then. It prints the revision that the write gave the store.
)"},
    {"list", "[PREFIX]", "list keys",
     R"(vesper list
vesper list users/
vesper list users/ --separator /
vesper list users/ -o json | jq -r '.kvs[].key'
vesper list --count
vesper list -z tmp/ | xargs -0 -n 1 vesper delete
)",
     R"(On a terminal it prints a table with the keys and the beginnings of their values. When the
output is not a terminal, it prints one key a line. -o json prints each page of the reply as
a line.
)"},
    {"txn", "[FILE]", "run a transaction: the JSON of POST /txn",
     R"(vesper txn move.json
echo '{"if":[{"key":"a","exists":false}],"then":[{"put":{"key":"a","value":"1"}}]}' | vesper txn
)",
     R"(Reads the transaction from a file or from stdin, and prints the reply. The exit code is 0 if
"then" ran and 4 if "else" ran.
)"},
    {"export", "[PREFIX]", "print all keys and values as lines of JSON",
     R"(vesper export > store.ndjson
vesper export users/ | gzip > users.ndjson.gz
vesper export --revision 100 > then.ndjson
)",
     R"(Every line is one key, in byte order, all at one revision, while writes go on. Bytes that
are not UTF-8 are in base64. If a node fails, the command goes on at the next one, at the
same revision. If the exit code is not 0, the output is incomplete.
)"},
    {"import", "FILE", "write the lines of an export",
     R"(vesper import store.ndjson
zcat users.ndjson.gz | vesper import -
vesper import store.ndjson --from-line 120001
)",
     R"(Each line is an object with "key" or "key_base64", "value" or "value_base64", and, for a
value that is JSON, "json":true. The other members that export writes are ignored. Prints
how many lines were written. After an error it says with which --from-line to continue.
)"},
    {"compact", "REVISION", "make revisions before this one unreadable",
     R"(vesper compact 120000
)",
     R"(The store at REVISION stays readable, older states do not. Nodes compact by themselves
(vesper server --keep-history): this command frees memory sooner. Prints the oldest readable
revision.
)"},
    {"watch", "[KEY...]", "print changes as they happen, or run a command for each",
     R"(vesper watch
vesper watch --prefix users/ --initial
vesper watch config/a config/b --exec systemctl reload nginx
vesper watch --since 120 -o json | jq -r .key
vesper watch --lock report --election primary
)",
     R"(Without a key, prefix, lock or election it watches every key. It runs until SIGINT or
SIGTERM, and then exits with 0. If a node fails, the command goes on at the next one, without
a gap or a duplicate. If the events since then are no longer kept, it says so on stderr, and
the present state follows.

On a terminal it prints a table. When the output is not a terminal, it prints one line per
event: put, delete, held or free, then the key or name, the revision and the value, separated
by tabs and escaped. -o json prints an object per line, also {"type":"synced"} when the
present state is complete and {"type":"reset"} before it is sent again.

--exec runs a command for each event, one at a time and in order. The rest of the command
line belongs to it. It gets VESPER_EVENT, VESPER_KEY and VESPER_REVISION in its environment,
VESPER_VALUE unless the value has a NUL or is larger than 64 KiB, and the event as JSON on
stdin. If it fails, the watch says so on stderr and goes on.
)"},
    {"lease", "ACTION [TTL|ID]", "keys that expire together unless a client renews them",
     R"(vesper lease grant 30s
vesper put worker/7 10.0.0.7 --lease 17
vesper lease keep 17
vesper lease end 17
vesper lease list
)",
     R"(grant prints the id of a new lease. renew makes it last again as long as when it was
granted, and prints for how many milliseconds. keep renews in time until SIGINT or SIGTERM,
and exits with 1 if the lease is over. get prints how many milliseconds are left. end deletes
the keys of the lease, and prints how many.
)"},
    {"lock", "NAME [-- COMMAND]", "run a command while holding a lock",
     R"(vesper lock report -- ./nightly-report.sh
vesper lock report --wait 0 -- ./nightly-report.sh || echo someone else does it
vesper lock report -- sh -c 'vesper put report done --fence "report:$VESPER_FENCE"'
vesper lock report --ttl 1m
vesper lock report --release 42
vesper lock --list
)",
     R"(Waits for the lock, runs the command, keeps the lock alive meanwhile, releases it, and exits
with the exit code of the command (128 plus the number of a signal that ended it). The exit
code is 4 if the lock is not free within --wait, and 5 if no node serves: then the command
has not started. SIGINT, SIGTERM and SIGHUP are passed on to the command.

VESPER_FENCE is the token of the lock. Writes with --fence NAME:TOKEN are refused when the
lock is lost. The lock counts as lost when --ttl has passed since the last successful renewal
was sent. Then the process group of the command gets SIGTERM, after 5 seconds SIGKILL, and
the exit code is 125.

Without a command it prints the token and exits. The lock then lasts for --ttl.
)"},
    {"elect", "NAME VALUE [-- COMMAND]", "run a command while being the leader",
     R"(vesper elect primary http://10.0.0.7:80 -- ./primary.sh
vesper elect primary http://10.0.0.7:80 --ttl 5s --wait 1m -- ./primary.sh
vesper elect --list
vesper watch --election primary
)",
     R"(An election is a lock with a value, which others see while this candidate leads. All else is
as for vesper lock.
)"},
    {"status", "", "print a table of all nodes",
     R"(vesper status
vesper status --json
vesper status --endpoints http://127.0.0.1:5000 && echo a leader serves
)",
     R"(Asks every node for its own view of the cluster. Exits with 0 if a leader serves, else with
5.
)"},
    {"top", "", "watch all nodes in a terminal",
     R"(vesper top
vesper top --interval 500ms
vesper top --once
)",
     R"(Asks every node once in an interval, and shows what the cluster does: who leads, who is
behind, requests a second, latencies, what is wrong. The columns that do not fit are left out. "q"
ends it. --once prints the same as text and exits with 0 if a leader serves, else with 5.
)"},
    {"cluster", "[ACTION] [ID|URL]...", "show or change the members, move leadership",
     R"(vesper cluster
vesper cluster add http://10.0.0.4:5000 --wait 1m
vesper cluster add http://10.0.0.5:5000 --learner --name reader
vesper cluster replace 1,2 with http://10.0.0.8:5000,http://10.0.0.9:5000
vesper cluster remove 3
vesper cluster promote 4
vesper cluster update 0 http://10.0.0.7:5000
vesper cluster transfer 2
)",
     R"(Without an action, or with "status", shows the members and what the leader knows of them. A
member that is added learns first, and votes once it has caught up: --wait waits for that. A change
prints the index of the configuration that it begins; all of it happens, or none. Exits with 4 if
another change is in progress, or if the voters that would be left and can be reached are no
majority (--force overrides only that).

"transfer" moves leadership to the node with this id, or to any other one. It prints the address of
the new leader once that has committed an entry.
)"},
    {"auth", "ACTION [NAME]", "require tokens of clients, add and revoke them",
     R"(umask 077
vesper auth enable > root.token
vesper auth token add app --read app/ --write app/ --lock app/ --ttl 30d > app.token
vesper auth token add prometheus --metrics
vesper auth token list --token-file root.token
vesper auth token revoke app
VESPER_TOKEN=$(cat app.token) vesper get app/name
)",
     R"(From "enable" on, every request needs a token. It prints the secret of the token "root",
which has every right; "token add" prints that of a new token. A secret is shown only this
once. The commands take a token from --token-file or from VESPER_TOKEN, never as an argument.

A token may read, write or lock only what its flags name, each of which may be given several
times. To change them, revoke the token and add another one. What is revoked writes nothing any
more, and its watches end. "disable" lets every client do everything again; the tokens stay.
)"},
    {"recover", "DIR...", "make a new cluster from what is left of a lost majority",
     R"(vesper recover vesper-data/2
vesper recover /mnt/a/vesper /mnt/b/vesper
vesper recover --yes --token-file root.token /var/lib/vesper
vesper recover --reset-root /var/lib/vesper
)",
     R"(For a cluster that has lost the disks of a majority. Stop the servers that are left, and
give their data directories. The command shows what each holds and what may be lost, and asks.
Then it makes the best of them the start of a new cluster with one voter: a new cluster id, a
revision raised by 2^32, and no locks, so that no id or fencing token of the old cluster is
valid. The old files stay in DIR/set-aside-<UTC time>-before-recovery.

The command asks the members whether they still run. Give it the token or the certificate that
they want of clients: what listens at the address of a member and does not say what it is counts
as that member.

--reset-root makes nothing but a new root token, if the old one is lost: it prints the secret,
and the server of DIR, which must be stopped, puts it in force when it is started again.

Exit codes: 2 if a majority runs or may run, or if no one can agree; 11 if a directory is locked,
damaged or of another cluster; 12 if the new files cannot be written.
)"},
    {"pki", "init|add DIR --hosts HOST,HOST", "make certificates for a cluster with TLS",
     R"(vesper pki init pki --hosts a.example,b.example,c.example
vesper pki add pki --hosts d.example
)",
     R"(`init` makes a private authority (ca.crt, ca.key), a certificate and a key for each host
(HOST.crt, HOST.key), and one client (client.crt, client.key). `add` makes certificates for further
hosts. The hosts are those of the list's lines. No file is ever overwritten.

Whoever has ca.key can join the cluster: keep it off the nodes. A node needs ca.crt and its own two
files: vesper server 0 ip_list.txt --tls-cert pki/a.example.crt --tls-key pki/a.example.key
--tls-ca pki/ca.crt. A client needs --cacert pki/ca.crt, and, if the nodes have --tls-client-ca,
--cert pki/client.crt --key pki/client.key.
)"},
    {"completion", "bash|zsh|fish", "print a completion script for a shell",
     R"(vesper completion bash > ~/.local/share/bash-completion/completions/vesper
vesper completion zsh > "${fpath[1]}/_vesper"
vesper completion fish > ~/.config/fish/completions/vesper.fish
)",
     R"(The script completes commands, flags and the keys of the cluster.
)"},
    {"man", "", "print the manual page",
     R"(vesper man | man -l -
)",
     ""},
};

constexpr HelpText kNoText;

std::string indented(std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    const std::size_t end = lines.find('\n') + 1;
    out += "  ";
    out += lines.substr(0, end);
    lines.remove_prefix(end);
  }
  return out;
}

void append_option(std::string& out, const OptionDescription& option) {
  constexpr std::size_t kColumn = 32;
  const std::string line = option_line(option);
  out += "  " + line;
  // A long one has its help on the next line.
  if (line.size() < kColumn) out.append(kColumn - line.size(), ' ');
  else out.append("\n").append(kColumn + 2, ' ');
  out += option.help + "\n";
}

}  // namespace

const HelpText& help_of(std::string_view command) {
  for (const HelpText& text : kTexts)
    if (text.command == command) return text;
  return kNoText;
}

std::string_view main_examples() {
  return R"(vesper dev                                    start a cluster to play with
vesper server 0 ip_list.txt                   run the first node of the list
vesper put name 'Kyle Chard'                  write
vesper get name                               read
vesper list users/                            list the keys with a prefix
vesper status                                 show which nodes lead, lag or are down
vesper put name 'Kyle Chard' --curl           how to do the same with curl
)";
}

std::string_view endpoints_text() {
  return R"(The addresses of the nodes come from --endpoints, else VESPER_ENDPOINTS, else
./ip_list.txt, else http://127.0.0.1:5000.
)";
}

std::span<const ExitCodeText> exit_code_texts() {
  static constexpr std::array<ExitCodeText, 9> texts = {{
      {"0", "ok"},
      {"1", "error"},
      {"2", "wrong usage or bad list"},
      {"3", "key not found"},
      {"4", "precondition failed, \"else\" ran, lock busy, change refused"},
      {"5", "unavailable (nothing was applied)"},
      {"6", "unknown outcome of a write"},
      {"7", "the token is missing or wrong, or lacks a right"},
      {"125", "the lock was lost while the command of \"lock\" or \"elect\" ran"},
  }};
  return texts;
}

std::string main_help() {
  std::string out = "Examples:\n" + indented(main_examples());
  out += "\nUsage: vesper [flags] COMMAND ...\n";
  for (const CommandGroup& group : command_groups()) {
    out += fmt::format("\n{}:\n", group.title);
    for (const Command& command : group.commands) {
      if (command.listing == Command::Listing::hidden) continue;
      const HelpText& text = help_of(command.name);
      out += fmt::format("  {:<32} {}\n", fmt::format("{} {}", text.command, text.arguments),
                         text.summary);
    }
  }
  out += "\n`vesper COMMAND --help` shows the flags of a command, and examples.\n\n";
  out += "  --version   print the version\n  --help      print this help\n\n";
  out += endpoints_text();
  out += "\nExit codes:\n";
  for (const ExitCodeText& text : exit_code_texts())
    out += fmt::format("  {:<3}  {}\n", text.code, text.meaning);
  return out;
}

std::string usage_line(const Command& command) {
  std::string out = fmt::format("vesper {} [flags]", command.name);
  const SyntaxDescription syntax = describe(command);
  for (const ArgumentDescription& argument : syntax.arguments) {
    const std::string name = argument.name + (argument.repeats ? "..." : "");
    out += argument.need == Need::required ? fmt::format(" {}", name) : fmt::format(" [{}]", name);
  }
  if (!syntax.program.empty()) out += fmt::format(" [{}]", syntax.program);
  return out;
}

std::string option_line(const OptionDescription& option) {
  std::string out;
  for (const std::string& name : option.names) out += (out.empty() ? "" : ",") + name;
  if (!option.value.empty()) out += " " + option.value;
  return out;
}

std::string command_help(const Command& command) {
  const HelpText& text = help_of(command.name);
  std::string out = "Examples:\n" + indented(text.examples);
  if (!text.text.empty()) out += fmt::format("\n{}", text.text);
  out += fmt::format("\nUsage: {}\n\nFlags:\n", usage_line(command));
  for (const OptionDescription& option : describe(command).options) append_option(out, option);
  return out;
}

}  // namespace vesper::app
