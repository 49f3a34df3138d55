// Cores, messages and logs as text, for traces.
#pragma once

#include <string>

#include "golden/cores.hpp"

namespace vesper::golden {

std::string describe(const raft::Message& message);
std::string describe(const raft::Entry& entry);  // index@term:what
std::string describe(const raft::Write& write);
std::string describe(const raft::MembersAnswer& answer);
std::string describe_state(const Cores::Server& server);  // one line
// One property of a server's state as a word, for `expect`; nothing if there is no such property.
std::optional<std::string> property(const Cores::Server& server, const std::string& name,
                                    Instant now);

}  // namespace vesper::golden
