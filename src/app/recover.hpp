// The parts of `vesper recover` (recover.cpp): the survivors' directories, what runs elsewhere, and
// the table. The state and the new cluster are in node/survey.hpp and node/new_cluster.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cluster_file.hpp"
#include "io/loop.hpp"
#include "io/uv_fs.hpp"
#include "node/survey.hpp"

namespace vesper::app {

// A directory that was given, locked while this exists.
struct Survivor {
  std::string directory;
  std::string written;  // when its log was written last, in UTC
  std::unique_ptr<io::UvFs> fs;
  node::Survey survey;  // the store only while it is the best one
};

// Opens and reads all directories. The error names the directory: it does not exist, is locked or
// damaged, or belongs to another cluster than the first one.
Result<std::vector<Survivor>> open_survivors(io::Loop& loop,
                                             const std::vector<std::string>& directories);
// Puts the best one first. A state that has diverged comes last.
void sort_survivors(std::vector<Survivor>& survivors);

// What runs of the cluster.
struct Running {
  struct Server {
    std::uint64_t node = 0;
    std::string address;
  };
  // Something listens at the address of a member, but does not say what it is: it wants a token or
  // a certificate, hangs, still reads its log, or is another program.
  struct Stranger {
    HostPort server;
    std::string detail;  // why there is no status of it
  };
  std::vector<Server> answering;    // servers of this cluster, in the order of their node ids
  std::vector<Stranger> strangers;  // in no order
  bool has_leader = false;          // one of them leads, so a majority of the voters follows it
  bool is_majority = false;         // of the voters that one of them knows; an election may be on
  bool may_be_majority = false;     // it is one if the strangers are what their addresses say
};
// Asks every server that one of the directories names for its status, and the members that these
// name: the directories may be from before a change of the members. Takes a few seconds at most.
Running find_running(const std::vector<Survivor>& survivors);

// What was found, as a table and in words: what is whole, and what may be lost. `survivors`:
// sorted.
std::string describe(const std::vector<Survivor>& survivors, const Running& running);

// Makes the survivor the start of a new cluster: writes it into a folder of its own, reads it back,
// and puts it in the place of the old files. Returns where these are now. After an error, the
// directory is what it was, or its next start completes the change.
Result<std::string> begin_new_cluster(io::Loop& loop, Survivor& survivor);

}  // namespace vesper::app
