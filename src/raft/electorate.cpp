#include "raft/electorate.hpp"

#include "raft/entry.hpp"

namespace vesper::raft {

void Electorate::append(const Entry& entry) {
  apply_configuration(entry, configuration_);
}

}  // namespace vesper::raft
