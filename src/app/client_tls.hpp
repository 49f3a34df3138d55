// TLS of the commands that talk to a cluster: what the flags and the environment say, and the
// context that all connections of this process share.
#pragma once

#include <optional>
#include <string>

#include "app/options.hpp"
#include "base/result.hpp"
#include "crypto/tls.hpp"

namespace vesper::app {

// Fills in what the flags leave out from VESPER_CACERT, VESPER_CLIENT_CERT and VESPER_CLIENT_KEY.
TlsFlags with_environment(TlsFlags flags);

// Call once, before the first connection. Reads no file yet.
void set_client_tls(const TlsFlags& flags);
// The context for https:// servers. It is made when it is first wanted; the error names the flag
// and the file.
const Result<crypto::TlsContext>& client_tls();

}  // namespace vesper::app
