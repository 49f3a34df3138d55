#include "api/watch_events.hpp"

#include <fmt/core.h>

#include <utility>

#include "api/context.hpp"
#include "base/overloaded.hpp"

namespace vesper::api {
namespace {

using Mark = node::WatchMark::Kind;

constexpr std::size_t kWork = 4096;       // of one call, in events and keys looked at
constexpr std::size_t kKeep = 16u << 10;  // bytes of buffer that an idle stream keeps

std::string_view type_of(const kv::Version& version) {
  if (version.space() == kv::Space::keys) return version.is_tombstone() ? "delete" : "put";
  return version.is_tombstone() ? "free" : "held";
}

// The name of a lock or election, and of one that is held the token and the value.
void append_lock(json::Writer& json, const kv::Version& version) {
  const bool is_election = version.space() == kv::Space::elections;
  if (is_election) json.bytes_member("election", version.key());
  else json.bytes_member("lock", version.key());
  if (!version.is_tombstone()) {
    json.member("token", version.create_revision());
    if (is_election) json.bytes_member("value", version.value());
  }
  json.member("revision", version.revision());
}

}  // namespace

Problem watch_refused(Context& context) {
  const node::Watches& watches = context.node()->watches();
  const bool are_many = watches.figures().watches >= watches.max_watches();
  Problem problem =
      overloaded(are_many ? "this node has as many watches as are allowed"
                          : "the watches of this node have as many filters as are allowed in all");
  problem.limit = are_many ? watches.max_watches() : watches.max_ranges();
  return problem;
}

WatchEvents::WatchEvents(Context& context, const node::Ticket& ticket, node::WatchRequest request,
                         WatchForm form)
    : context_(context), ticket_(ticket), request_(std::move(request)), form_(form) {}

WatchEvents::WatchEvents(Context& context, std::unique_ptr<node::WatchStream> stream,
                         WatchForm form)
    : context_(context), ticket_(stream->ticket()), stream_(std::move(stream)), form_(form) {}

// Returns false while there is no node yet.
bool WatchEvents::open() {
  if (stream_ != nullptr || ended_) return true;
  if (context_.node() == nullptr) return false;
  if (context_.node()->store().access().is_enabled()) {
    // This node did not know that yet when the request came.
    append_closed("unauthorized", "this request needs a token");
    return true;
  }
  stream_ = context_.node()->watches().open(ticket_, std::move(*request_), context_.now());
  request_.reset();
  if (stream_ == nullptr) append_closed("overloaded", watch_refused(context_).detail);
  return true;
}

// A stream of events that waits shows that it has begun: fetch() of Firefox reports a reply only
// when the first bytes of its body are there. Returns false if it has shown that already.
bool WatchEvents::write_greeting() {
  if (has_begun_ || form_ == WatchForm::lines) return false;
  text_ += ": keep-alive\n\n";
  return true;
}

// The cluster's clock, as this node knows it.
kv::LogTime WatchEvents::log_time() const {
  const node::Node* node = context_.node();
  return node == nullptr ? kv::LogTime{} : kv::LogTime{node->raft().log_time(context_.now()).value};
}

BodyStream::Next WatchEvents::next(std::size_t room, std::string& out) {
  std::size_t work = kWork;
  while (true) {
    const std::size_t size = std::min(room, text_.size() - text_at_);
    out.append(text_, text_at_, size);
    text_at_ += size;
    room -= size;
    has_begun_ |= size > 0;
    if (text_at_ != text_.size()) return Next::bytes;
    text_.clear();
    text_at_ = 0;
    if (room == 0) return Next::bytes;
    if (ended_ && !line_) return Next::finished;
    if (work == 0) return Next::later;
    if (line_) {
      write_some(work);
      continue;
    }
    if (!open()) {
      if (write_greeting()) continue;
      return Next::waiting;
    }
    if (ended_) continue;
    node::WatchOutput output;
    switch (stream_->next(context_.now(), work, output)) {
      case node::WatchStream::Next::item: begin(output.item); break;
      case node::WatchStream::Next::later: return Next::later;
      case node::WatchStream::Next::waiting:
        if (write_greeting()) continue;
        if (text_.capacity() > kKeep) text_ = std::string();
        return Next::waiting;
      case node::WatchStream::Next::finished: return Next::finished;
    }
  }
}

bool WatchEvents::may_stay_unread() const {
  return !ended_ && (stream_ == nullptr || stream_->is_kept());
}

void WatchEvents::begin(const node::WatchItem& item) {
  const Overloaded write{
      [this](const node::WatchEvent& event) {
        const kv::Version& version = *event.version;
        begin_line(type_of(version),
                   node::WatchId{version.revision(), event.more ? version.place() : 0});
        begin_event(event);
      },
      [this](const node::WatchState& state) {
        begin_line(type_of(*state.version), std::nullopt);
        begin_event({state.version, {}, false});
      },
      [this](const node::WatchMark& mark) { append_mark(mark); },
      [this](const node::WatchClosed& closed) {
        if (closed.why == node::WatchClosed::Why::too_slow)
          append_closed("too_slow", "the history was compacted before it was read");
        else append_closed("diverged", "the state of this node differs from a majority's");
      },
  };
  std::visit(write, item);
}

// What stands before the data of an event.
void WatchEvents::begin_line(std::string_view type, std::optional<node::WatchId> id) {
  if (form_ == WatchForm::lines) return;
  text_ += "event: ";
  text_ += type;
  if (id && id->part != 0) text_ += fmt::format("\nid: {}.{}", id->revision, id->part);
  else if (id) text_ += fmt::format("\nid: {}", id->revision);
  text_ += "\ndata: ";
}

void WatchEvents::end_line() {
  text_ += form_ == WatchForm::lines ? "\n" : "\n\n";
}

void WatchEvents::begin_event(node::WatchEvent event) {
  Line& line = line_.emplace(std::move(event), json::Writer(text_));
  const kv::Version& version = *line.event.version;
  line.json.begin_object();
  line.json.member("type", type_of(version));
  if (version.space() != kv::Space::keys) {
    append_lock(line.json, version);
  } else if (version.is_tombstone()) {
    line.json.bytes_member("key", version.key());
    line.json.member("revision", version.revision());
  } else {
    line.value.emplace(line.event.version, kv::Content::values, log_time());
  }
}

void WatchEvents::write_some(std::size_t& work) {
  Line& line = *line_;
  const kv::Version& version = *line.event.version;
  const kv::VersionRef& replaced = line.event.replaced;
  if (line.value) {
    if (!line.value->append_some(line.json, work)) return;
    line.value.reset();
  }
  if (line.prev) {
    if (!line.prev->append_some(line.json, work)) return;
    line.prev.reset();
    line.json.end_object();
  } else {
    if (version.is_expired()) line.json.member("cause", "expired");
    if (replaced) line.json.begin_object("prev");
    if (replaced && replaced->space() == kv::Space::keys) {
      line.prev.emplace(replaced, kv::Content::values, log_time());
      return;
    }
    if (replaced) {
      append_lock(line.json, *replaced);
      line.json.end_object();
    }
  }
  if (line.event.more) {
    if (form_ == WatchForm::lines) line.json.member("part", std::uint64_t{version.place()});
    line.json.member("more", true);
  }
  line.json.end_object();
  end_line();
  line_.reset();
}

void WatchEvents::append_mark(const node::WatchMark& mark) {
  const bool is_progress = mark.kind == Mark::progress || mark.kind == Mark::alive;
  if (is_progress && form_ == WatchForm::events) {
    text_ += ": keep-alive\n";
    if (mark.kind == Mark::progress) text_ += fmt::format("id: {}\n", mark.revision);
    text_ += '\n';
    return;
  }
  const std::string_view type = mark.kind == Mark::reset    ? "reset"
                                : mark.kind == Mark::synced ? "synced"
                                : mark.kind == Mark::stale  ? "stale"
                                : mark.kind == Mark::fresh  ? "fresh"
                                                            : "progress";
  std::optional<node::WatchId> id;
  if (mark.kind == Mark::synced) id = node::WatchId{mark.revision, 0};
  begin_line(type, id);
  json::Writer json(text_);
  json.begin_object();
  if (form_ == WatchForm::lines) json.member("type", type);
  if (mark.kind != Mark::alive) json.member("revision", mark.revision);
  json.end_object();
  end_line();
}

void WatchEvents::append_closed(std::string_view code, std::string_view detail) {
  ended_ = true;
  begin_line("closed", std::nullopt);
  json::Writer json(text_);
  json.begin_object();
  if (form_ == WatchForm::lines) json.member("type", "closed");
  json.member("code", code);
  json.member("detail", detail);
  json.end_object();
  end_line();
}

// An event stream is complete wherever it ends, except inside of an event.
BodyStream::Cut WatchEvents::cut(Why why, std::string& out) {
  if (line_) return Cut::truncated;
  out.append(text_, text_at_);
  text_.clear();
  text_at_ = 0;
  if (!ended_) {
    if (why == Why::shutting_down) append_closed("shutting_down", "this node is shutting down");
    else append_closed("unauthorized", "the token is revoked or expired, or cannot be checked");
  }
  out.append(text_);
  return Cut::complete;
}

}  // namespace vesper::api
