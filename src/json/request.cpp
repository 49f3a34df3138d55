// The scanner's handler for the body of /request, and compact().
#include "json/request.hpp"

#include "json/scan.hpp"
#include "json/writer.hpp"

namespace vesper::json {
namespace {

// Writes the scanned JSON again in compact form, with numbers unchanged.
class Copy {
 public:
  explicit Copy(std::string& out) : writer_(out) {}

  bool on_null() { return writer_.null(), true; }
  bool on_boolean(bool value) { return writer_.boolean(value), true; }
  bool on_number(std::string_view text) { return writer_.raw(text), true; }
  bool on_string(std::string_view text) { return writer_.string(text), true; }
  bool on_key(std::string_view name) { return writer_.key(name), true; }
  bool on_begin_object() { return writer_.begin_object(), true; }
  bool on_end_object() { return writer_.end_object(), true; }
  bool on_begin_array() { return writer_.begin_array(), true; }
  bool on_end_array() { return writer_.end_array(), true; }

 private:
  Writer writer_;
};

// Follows the path root -> payload -> key and value, and skips everything else. Counts the depth
// itself: 1 in the root, 2 in the payload or in an unknown member beside it.
class RequestHandler {
 public:
  RequestHandler(RequestKind kind, Request& request)
      : kind_(kind), request_(request), copy_(request.value) {
    request.key.clear();
    request.value.clear();
    request.value_is_json = false;
  }

  bool on_null() { return scalar("null") && (!copying() || copy_.on_null()); }
  bool on_boolean(bool value) {
    return scalar("a boolean") && (!copying() || copy_.on_boolean(value));
  }
  bool on_number(std::string_view text) {
    return scalar("a number") && (!copying() || copy_.on_number(text));
  }
  bool on_string(std::string_view text) {
    if (depth_ == 2 && place_ == Place::key) return take_key(text);
    if (depth_ == 2 && place_ == Place::value) {
      if (kind_ == RequestKind::put) request_.value.assign(text);
      return true;
    }
    return scalar("a string") && (!copying() || copy_.on_string(text));
  }

  bool on_key(std::string_view name) {
    if (depth_ == 1) {
      place_ = name == "payload" ? Place::payload : Place::unknown;
      if (place_ == Place::payload) return once(saw_payload_, "payload");
    } else if (depth_ == 2 && in_payload_) {
      place_ = name == "key" ? Place::key : name == "value" ? Place::value : Place::unknown;
      if (place_ == Place::key) return once(saw_key_, "payload.key");
      if (place_ == Place::value) return once(saw_value_, "payload.value");
    } else if (copying()) {
      return copy_.on_key(name);
    }
    return true;
  }

  bool on_begin_object() {
    ++depth_;
    if (depth_ == 1) return true;
    if (depth_ == 2 && place_ == Place::payload) {
      in_payload_ = true;
      place_ = Place::unknown;
      return true;
    }
    return enter("an object") && (!copying() || copy_.on_begin_object());
  }
  bool on_begin_array() {
    ++depth_;
    if (depth_ == 1) return fail(Problem::Code::malformed, "", "an array, expected an object");
    return enter("an array") && (!copying() || copy_.on_begin_array());
  }
  bool on_end_object() {
    if (depth_ >= 3 && copying() && !copy_.on_end_object()) return false;
    if (depth_ == 2) in_payload_ = false;
    --depth_;
    return true;
  }
  bool on_end_array() {
    if (depth_ >= 3 && copying() && !copy_.on_end_array()) return false;
    --depth_;
    return true;
  }

  // Call after a successful scan. Reports the first required member that is missing.
  bool complete() {
    if (!saw_payload_) return fail(Problem::Code::invalid_field, "payload", "missing");
    if (!saw_key_) return fail(Problem::Code::invalid_field, "payload.key", "missing");
    if (kind_ == RequestKind::put && !saw_value_)
      return fail(Problem::Code::invalid_field, "payload.value", "missing from a PUT");
    return true;
  }
  Problem& problem() { return problem_; }

 private:
  enum class Place { unknown, payload, key, value };

  // True inside a PUT's value unless it is a string.
  bool copying() const {
    return kind_ == RequestKind::put && place_ == Place::value && in_payload_ && depth_ >= 2;
  }

  // Handles a scalar that is not one of the strings taken above.
  bool scalar(std::string_view what) {
    if (depth_ == 0) return fail(Problem::Code::malformed, "", what, "an object");
    if (depth_ == 1 && place_ == Place::payload) return wrong_type("payload", what, "an object");
    if (depth_ == 2 && in_payload_) {
      if (place_ == Place::key) return wrong_type("payload.key", what, "a string");
      if (place_ == Place::value) request_.value_is_json = kind_ == RequestKind::put;
    }
    return true;
  }
  // Handles the begin of a container, which depth_ already includes.
  bool enter(std::string_view what) {
    if (depth_ == 2 && place_ == Place::payload) return wrong_type("payload", what, "an object");
    if (depth_ == 3 && in_payload_) {
      if (place_ == Place::key) return wrong_type("payload.key", what, "a string");
      if (place_ == Place::value) request_.value_is_json = kind_ == RequestKind::put;
    }
    return true;
  }

  bool take_key(std::string_view key) {
    if (key.empty())
      return fail(Problem::Code::invalid_key, "payload.key", "an empty string, expected a key");
    if (key.size() > kMaxKey) {
      problem_.limit = kMaxKey;
      return fail(Problem::Code::invalid_key, "payload.key",
                  fmt::format("{} bytes, expected at most {}", key.size(), kMaxKey));
    }
    request_.key.assign(key);
    return true;
  }
  bool once(bool& seen, std::string_view field) {
    if (seen) return fail(Problem::Code::invalid_field, field, "appears more than once");
    seen = true;
    return true;
  }
  bool wrong_type(std::string_view field, std::string_view what, std::string_view expected) {
    return fail(Problem::Code::invalid_field, field,
                fmt::format("{}, expected {}", what, expected));
  }
  bool fail(Problem::Code code, std::string_view field, std::string_view detail) {
    problem_.code = code;
    problem_.field = field;
    problem_.detail = detail;
    return false;
  }
  bool fail(Problem::Code code, std::string_view field, std::string_view what,
            std::string_view expected) {
    return fail(code, field, fmt::format("{}, expected {}", what, expected));
  }

  RequestKind kind_;
  Request& request_;
  Copy copy_;
  std::size_t depth_ = 0;
  Place place_ = Place::unknown;  // of the last member name read, down to depth 2
  bool in_payload_ = false;
  bool saw_payload_ = false;
  bool saw_key_ = false;
  bool saw_value_ = false;
  Problem problem_;
};

std::optional<Problem> too_large(std::string_view text) {
  if (text.size() <= kMaxBody) return std::nullopt;
  Problem problem;
  problem.limit = kMaxBody;
  problem.offset = kMaxBody;
  problem.detail = fmt::format("byte {0}: the text is longer than {0} bytes", kMaxBody);
  return problem;
}

}  // namespace

std::optional<Problem> read_request(std::string_view body, RequestKind kind, Request& request) {
  if (auto problem = too_large(body)) return problem;
  RequestHandler handler(kind, request);
  auto problem = scan(body, kMaxDepth, handler);
  if (problem && !problem->detail.empty()) return problem;
  if (!problem && handler.complete()) return std::nullopt;

  Problem mine = std::move(handler.problem());
  mine.offset = problem ? problem->offset : body.size();
  const std::string name = mine.field.empty() ? "" : fmt::format("`{}`: ", mine.field);
  mine.detail = fmt::format("byte {}: {}{}", mine.offset, name, mine.detail);
  return mine;
}

std::optional<Problem> compact(std::string_view text, std::string& out) {
  if (auto problem = too_large(text)) return problem;
  Copy copy(out);
  return scan(text, kMaxDepth, copy);
}

}  // namespace vesper::json
