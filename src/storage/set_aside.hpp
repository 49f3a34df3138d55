// Setting a data directory aside: its files move to DIR/set-aside-<UTC time>/, and the server
// starts with an empty directory, as a new incarnation. For a server whose state has diverged, or
// whose disk has gone back. After `vesper recover`, other files take their place. Boot only, or
// while no job is in flight; blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "storage/fs.hpp"

namespace vesper::storage {

// The folder in which `vesper recover` prepares files. Without an order to use it, it is removed.
inline constexpr std::string_view kSuccessor = "recovered.tmp";

// What takes the place of the files that are set aside: nothing, or the files in kSuccessor, which
// must be complete and durable.
enum class Successor : std::uint8_t { none, prepared };

struct SetAside {
  std::string folder;  // in the data directory
  std::string why;     // for people
  Successor successor = Successor::none;
  std::string left;  // why a folder of an earlier order is still there; empty: none is
};

// Decides that the directory is set aside. Once this returns, the decision is durable, and
// complete_set_aside() carries it out, in this process or a later one. `time`: the present time in
// UTC, such as "20260131T235959Z"; it becomes part of the folder's name. Names the folder.
Result<std::string> order_set_aside(Fs& fs, Folders& folders, std::string_view time,
                                    std::string_view why, Successor successor = Successor::none);

// Carries out the order in this directory, if there is one. Call it before anything else reads the
// directory. A crash leaves the order in place, so that the next start goes on. Files that the
// server did not write stay where they are. Without a successor, folders of earlier orders are
// removed, except those that had a successor: only the newest copy is kept. Nothing if there was no
// order.
Result<std::optional<SetAside>> complete_set_aside(Fs& fs, Folders& folders);

}  // namespace vesper::storage
