// Carries out the order of `vesper recover --reset-root`: proposes a new root token until it is in
// the store. Who can write to a data directory may give that order, because the directory's server
// does what the directory says anyway.
#pragma once

#include <optional>
#include <string>

#include "api/context.hpp"
#include "kv/access.hpp"
#include "storage/records.hpp"

namespace vesper::server {

class RootReset {
 public:
  // Boot only; blocks.
  Result<void> load(storage::Fs& fs);
  // Called once per turn, when there is a node.
  void run(api::Context& context, storage::RecordWriter& records);

 private:
  std::optional<kv::SecretHash> wanted_;
  Instant propose_at_;
};

}  // namespace vesper::server
