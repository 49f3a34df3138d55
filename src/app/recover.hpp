// The parts of `vesper recover` (recover.cpp): the survivors' directories, what runs elsewhere, and
// the table. The state and the new cluster are in node/survey.hpp and node/new_cluster.hpp.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

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

// What the members of the last configuration answered.
struct Running {
  std::vector<raft::ServerId> answering;  // members of this cluster
  bool works = false;                     // a majority of the voters answers and has a leader
};
// Asks every member for its status at the same time. Takes a second at most.
Running ask_members(const raft::Configuration& configuration);

// What was found, as a table and in words: what is whole, and what may be lost. `survivors`:
// sorted.
std::string describe(const std::vector<Survivor>& survivors, const Running& running);

// Makes the survivor the start of a new cluster: writes it into a folder of its own, reads it back,
// and puts it in the place of the old files. Returns where these are now. After an error, the
// directory is what it was, or its next start completes the change.
Result<std::string> begin_new_cluster(io::Loop& loop, Survivor& survivor);

}  // namespace vesper::app
