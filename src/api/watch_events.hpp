// The body of GET /watch: the items of a node::WatchStream as server-sent events or as NDJSON,
// produced while they are sent. A client that does not read costs memory for one piece of text.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/body_stream.hpp"
#include "api/problem.hpp"
#include "api/version_parts.hpp"
#include "json/writer.hpp"
#include "node/watch_stream.hpp"

namespace vesper::api {

class Context;

enum class WatchForm : std::uint8_t { events, lines };

// Why the node has just refused a watch. Requires the node.
Problem watch_refused(Context& context);

class WatchEvents final : public BodyStream {
 public:
  // The stream is opened at the first call of next() with a node: a client may connect while the
  // node still reads its log. `context` must outlive this object.
  WatchEvents(Context& context, const node::Ticket& ticket, node::WatchRequest request,
              WatchForm form);
  // For a stream that is open. `form`: how items are written.
  WatchEvents(Context& context, std::unique_ptr<node::WatchStream> stream, WatchForm form);

  Next next(std::size_t room, std::string& out) override;
  // The stream ends with `closed`, except in the middle of a long event.
  Cut cut(Why why, std::string& out) override;
  // What comes next is in the kept history, so the event that is being written costs nothing.
  bool may_stay_unread() const override;

 private:
  // An event that is being written.
  struct Line {
    Line(node::WatchEvent of, json::Writer to) : event(std::move(of)), json(to) {}

    node::WatchEvent event;
    json::Writer json;
    std::optional<VersionParts> value;  // what is left of a put's own members
    std::optional<VersionParts> prev;   // what is left of the version that it replaced
  };

  bool open();
  bool write_greeting();
  kv::LogTime log_time() const;
  void begin(const node::WatchItem& item);
  void begin_event(node::WatchEvent event);
  void write_some(std::size_t& work);
  void begin_line(std::string_view type, std::optional<node::WatchId> id);
  void end_line();
  void append_mark(const node::WatchMark& mark);
  void append_closed(std::string_view code, std::string_view detail);

  Context& context_;
  const node::Ticket ticket_;
  std::optional<node::WatchRequest> request_;  // until the stream is open
  std::unique_ptr<node::WatchStream> stream_;
  const WatchForm form_;
  std::optional<Line> line_;
  bool has_begun_ = false;  // something was taken
  bool ended_ = false;      // `closed` was written
  // What was written and is not taken yet, from text_at_ on.
  std::string text_;
  std::size_t text_at_ = 0;
};

}  // namespace vesper::api
