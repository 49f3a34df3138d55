// `vesper recover`: makes the best directory of a cluster that has lost its majority the start of a
// new cluster.
#include "app/recover.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "app/client_tls.hpp"
#include "app/commands.hpp"
#include "app/credential.hpp"
#include "app/stdio.hpp"
#include "app/terminal.hpp"
#include "base/bytes.hpp"
#include "base/log.hpp"
#include "crypto/sha256.hpp"
#include "server/server.hpp"
#include "storage/records.hpp"

namespace vesper::app {
namespace {

constexpr int kExitDirectory = static_cast<int>(server::Exit::data_directory);
constexpr int kExitStorage = static_cast<int>(server::Exit::storage_failed);

std::string names_of(const std::vector<Running::Server>& servers) {
  std::string names;
  for (const Running::Server& server : servers)
    names +=
        fmt::format("{}{} ({})", names.empty() ? "" : ", ", server.node, escaped(server.address));
  return names;
}

// The exit code if the cluster runs, or may run: no second one may begin beside it. Else kExitOk.
int refuse_running(const Running& running, Id128 cluster) {
  if (running.has_leader || running.is_majority) {
    complain(fmt::format("a majority of cluster {} runs{}: {}", to_hex(cluster),
                         running.has_leader ? " and has a leader" : "",
                         names_of(running.answering)));
    hint(running.has_leader
             ? "replace the lost servers; a new cluster would have the same data under another id"
             : "wait until they have a leader; if that never happens, stop them and give their "
               "directories, too");
    return kExitUsage;
  }
  if (!running.may_be_majority) return kExitOk;
  std::string found = names_of(running.answering);
  for (const Running::Stranger& stranger : running.strangers)
    found += fmt::format("{}{} ({})", found.empty() ? "" : ", ", stranger.server.url(),
                         escaped(stranger.detail));
  complain(fmt::format("a majority of cluster {} may run, but does not say so: {}", to_hex(cluster),
                       found));
  hint(
      "if they want a token or a client certificate, give --token-file (or VESPER_TOKEN), or "
      "--cert and --key, and --cacert; a server that hangs, or another program at such an "
      "address, has to be stopped first, or cut off from this machine");
  return kExitUsage;
}

// True once the user has agreed on the terminal.
bool confirm(const std::string& directory) {
  print_error(fmt::format("Make {} the start of a new cluster? Type yes: ", escaped(directory)));
  std::array<char, 16> line{};
  if (std::fgets(line.data(), static_cast<int>(line.size()), stdin) == nullptr) return false;
  return std::string_view(line.data()) == "yes\n";
}

std::string next_steps(const std::vector<Survivor>& survivors, const std::string& old_files) {
  const Survivor& best = survivors.front();
  std::string out = fmt::format("{} is the start of cluster {}; its old files are in {}\n",
                                escaped(best.directory),
                                to_hex(best.survey.configuration().cluster_id), old_files);
  out += "Next:\n  1. Start its server as before.\n";
  out += "  2. Empty the data directories of all other servers";
  for (std::size_t i = 1; i < survivors.size(); ++i)
    out += fmt::format("{} {}", i == 1 ? ", such as" : ",", escaped(survivors[i].directory));
  out += ".\n  3. Start these, and add each with: vesper cluster add URL\n";
  return out;
}

// The cluster may go on running without this server. Prints the secret.
int reset_root(io::Loop& loop, const RecoverOptions& options) {
  auto survivors = open_survivors(loop, options.directories);
  if (!survivors) {
    complain(survivors.error().what);
    return kExitDirectory;
  }
  const std::string secret = crypto::make_secret();
  const crypto::Digest hash = crypto::sha256(secret);
  const auto written =
      storage::write_record(*survivors->front().fs, storage::kRootReset, crypto::view_of(hash));
  if (!written) {
    complain(written.error().what);
    return kExitStorage;
  }
  note("start the server: the token is in force once it has a leader");
  return print(secret + "\n");
}

}  // namespace

int run_recover(const RecoverOptions& options) {
  log::init(log::Level::error, "");
  io::Loop loop;
  if (options.reset_root) return reset_root(loop, options);
  auto survivors = open_survivors(loop, options.directories);
  if (!survivors) {
    complain(survivors.error().what);
    return kExitDirectory;
  }
  sort_survivors(*survivors);
  // Whoever answers at the address of a member counts: this only finds reasons to stop. But a token
  // is sent to no server that is not known.
  TlsFlags tls = options.tls;
  if (client_token().empty()) tls.insecure = true;
  set_client_tls(tls);
  Survivor& best = survivors->front();
  const Running running = find_running(*survivors);
  if (const int code = refuse_running(running, best.survey.configuration().cluster_id);
      code != kExitOk)
    return code;
  if (const int code = print(describe(*survivors, running)); code != kExitOk) return code;
  if (!options.yes) {
    if (!is_terminal(STDIN_FILENO)) {
      complain("nothing was changed: the standard input is no terminal, so no one can agree");
      hint("repeat the command with --yes");
      return kExitUsage;
    }
    if (!confirm(best.directory)) {
      complain("nothing was changed");
      return kExitError;
    }
  }
  const auto old_files = begin_new_cluster(loop, best);
  if (!old_files) {
    complain(fmt::format("{}: {}", escaped(best.directory), old_files.error().what));
    return kExitStorage;
  }
  return print(next_steps(*survivors, *old_files));
}

}  // namespace vesper::app
