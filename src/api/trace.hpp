// GET /trace: what Raft does on every node, as it happens, as server-sent events. The events are
// node/trace_event.hpp's; trace_json.hpp writes them.
#pragma once

#include <memory>
#include <string>

#include "api/body_stream.hpp"
#include "api/forward.hpp"
#include "base/time.hpp"
#include "node/trace_feed.hpp"

namespace vesper::api {

// The body of an answer to GET /trace.
class TraceEvents final : public BodyStream {
 public:
  // The client may connect while the node still reads its log; then `viewer` is null, and the
  // stream begins once there is a node. `context` must outlive this object.
  TraceEvents(Context& context, const node::Ticket& ticket,
              std::unique_ptr<node::TraceViewer> viewer);

  Next next(std::size_t room, std::string& out) override;
  Cut cut(Why why, std::string& out) override;

 private:
  bool open();
  // Writes the next piece to text_. Returns false if there is none now.
  bool write_next();
  void append_closed(std::string_view code, std::string_view detail);

  Context& context_;
  const node::Ticket ticket_;
  std::unique_ptr<node::TraceViewer> viewer_;
  bool ended_ = false;  // `closed` was written
  Instant written_at_;  // Instant{}: nothing was written yet
  // What was written and is not taken yet, from text_at_ on.
  std::string text_;
  std::size_t text_at_ = 0;
};

void render_trace(Context& context, const HttpExchange& exchange, Answer& answer);

}  // namespace vesper::api
