// Core dumps of a server, which would hold its keys and the tokens of its clients.
#pragma once

namespace vesper::server {

// From now on, neither a file nor a program that collects dumps gets one of this process. The
// process cannot take that back.
void forbid_core_dumps();

}  // namespace vesper::server
