#include "app/help.hpp"

#include <fmt/core.h>

#include <array>

namespace vesper::app {
namespace {

constexpr HelpText kTexts[] = {
    {"server", "<id> <ip-list-file>", "run one node of a cluster",
     R"(vesper server 0 ip_list.txt
vesper server 2 /etc/vesper/ip_list.txt --data-dir /var/lib/vesper
vesper server 1 ip_list.txt --listen 0.0.0.0:5001 --peer-key-file peers.key
)",
     R"(The list has one http://host:port per line. <id> is the number of the node's line, counted
from 0. Blank lines and lines that begin with # do not count. The node keeps its data in
vesper-data/<id> beside the list.
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
)",
     R"(Prints the revision that the write gave the store. If a write gets no reply, the command
retries it at the next endpoint with the same Idempotency-Key, so that it is applied only
once.
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
    {"status", "", "print a table of all nodes",
     R"(vesper status
vesper status --json
vesper status --endpoints http://127.0.0.1:5000 && echo a leader serves
)",
     R"(Asks every node for its own view of the cluster. Exits with 0 if a leader serves, else with
5.
)"},
    {"cluster", "transfer [ID]", "move leadership to another node",
     R"(vesper cluster transfer
vesper cluster transfer 2
)",
     R"(Without an id, any other node may become the leader. Prints the address of the new leader
once it has committed an entry.
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
  return R"(vesper server 0 ip_list.txt                   run the first node of the list
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
  static constexpr std::array<ExitCodeText, 7> texts = {{
      {"0", "ok"},
      {"1", "error"},
      {"2", "wrong usage or bad list"},
      {"3", "key not found"},
      {"4", "precondition failed, or \"else\" of a transaction ran"},
      {"5", "unavailable (nothing was applied)"},
      {"6", "unknown outcome of a write"},
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
    out += fmt::format("  {}  {}\n", text.code, text.meaning);
  return out;
}

std::string usage_line(const Command& command) {
  std::string out = fmt::format("vesper {} [flags]", command.name);
  for (const ArgumentDescription& argument : describe(command).arguments)
    out += argument.need == Need::required ? fmt::format(" {}", argument.name)
                                           : fmt::format(" [{}]", argument.name);
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
