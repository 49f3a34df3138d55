// Keeps in the data directory whether clients need tokens, so that the next start knows it before
// it has applied the log. From then on the process holds secrets of clients, so it leaves no core
// dump. Written after the state has changed: a crash in between leaves the old
// record.
#pragma once

#include "api/context.hpp"
#include "storage/records.hpp"

namespace vesper::server {

class NeededTokens {
 public:
  // Boot only; blocks.
  Result<void> load(storage::Fs& fs);
  // What the record says, or will say.
  bool recorded() const { return recorded_; }
  // Called once per turn, when there is a node.
  void run(api::Context& context, storage::RecordWriter& records);

 private:
  bool recorded_ = false;
  bool is_known_ = true;  // false: the log may say something else than the state so far
};

}  // namespace vesper::server
