// Builds a Document from the scanner's events, and checks it for duplicate members.
#include "json/document.hpp"

#include <algorithm>
#include <charconv>

#include "base/bytes.hpp"
#include "json/scan.hpp"

namespace vesper::json {

// Appends nodes in the order of the text. Sets a container's `next` when it ends.
class DocumentBuilder {
 public:
  DocumentBuilder(Document& document, std::size_t max_values)
      : document_(document), max_values_(max_values) {}

  bool on_null() { return add(Kind::null); }
  bool on_boolean(bool value) {
    if (!add(Kind::boolean)) return false;
    document_.nodes_.back().truth = value;
    return true;
  }
  bool on_number(std::string_view text) { return add_text(Kind::number, text); }
  bool on_string(std::string_view text) { return add_text(Kind::string, text); }
  bool on_key(std::string_view name) { return add_text(Kind::string, name); }
  bool on_begin_object() { return begin(Kind::object); }
  bool on_begin_array() { return begin(Kind::array); }
  bool on_end_object() { return end(); }
  bool on_end_array() { return end(); }

 private:
  bool add(Kind kind) {
    if (document_.nodes_.size() == max_values_) return false;
    Document::Node node;
    node.kind = kind;
    node.next = static_cast<std::uint32_t>(document_.nodes_.size()) + 1;
    document_.nodes_.push_back(node);
    return true;
  }
  bool add_text(Kind kind, std::string_view text) {
    if (!add(kind)) return false;
    Document::Node& node = document_.nodes_.back();
    node.begin = static_cast<std::uint32_t>(document_.text_.size());
    node.size = static_cast<std::uint32_t>(text.size());
    document_.text_.append(text);
    return true;
  }
  bool begin(Kind kind) {
    if (!add(kind)) return false;
    open_.push_back(document_.nodes_.size() - 1);
    return true;
  }
  bool end() {
    document_.nodes_[open_.back()].next = static_cast<std::uint32_t>(document_.nodes_.size());
    open_.pop_back();
    return true;
  }

  Document& document_;
  std::size_t max_values_;
  std::vector<std::size_t> open_;  // bounded by the depth limit
};

std::optional<Problem> Document::parse(std::string_view text, const Limits& limits) {
  VESPER_ASSERT(limits.values < UINT32_MAX);
  nodes_.clear();
  text_.clear();
  Problem problem;
  if (text.size() > limits.bytes) {
    problem.limit = problem.offset = limits.bytes;
    problem.detail = fmt::format("byte {0}: the text is longer than {0} bytes", limits.bytes);
    return problem;
  }
  DocumentBuilder builder(*this, limits.values);
  auto found = scan(text, limits.depth, builder);
  if (found && found->detail.empty()) {
    found->limit = limits.values;
    found->detail = fmt::format("byte {}: more than {} values", found->offset, limits.values);
  }
  if (!found) found = duplicate();
  if (found) nodes_.clear();
  return found;
}

// Sorts the names of each object. Comparing every pair would let a sender of 16 MiB stall the
// process.
std::optional<Problem> Document::duplicate() const {
  std::vector<std::string_view> names;
  for (std::uint32_t node = 0; node < nodes_.size(); ++node) {
    if (nodes_[node].kind != Kind::object) continue;
    names.clear();
    for (const auto& member : Value(this, node)) names.push_back(member.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) continue;
    Problem problem;
    problem.code = Problem::Code::invalid_field;
    problem.field = path_of(node);
    if (!problem.field.empty()) problem.field += '.';
    problem.field += name_in_path(*twice);
    problem.detail = fmt::format("`{}` appears more than once", problem.field);
    return problem;
  }
  return std::nullopt;
}

std::string name_in_path(std::string_view name) {
  constexpr std::size_t kMaxName = 80;  // bytes
  if (name.empty()) return "\"\"";
  return name.size() <= kMaxName ? std::string(name) : escaped(name, kMaxName);
}

// The path of the container at `target`, such as "a[3].b", from the root.
std::string Document::path_of(std::uint32_t target) const {
  std::string path;
  std::uint32_t at = 0;
  while (at != target) {
    // Find the child whose subtree contains the target.
    std::size_t position = 0;
    for (const auto& [name, value] : Value(this, at)) {
      if (target < nodes_[value.node_].next) {
        if (nodes_[at].kind == Kind::array) {
          path += fmt::format("[{}]", position);
        } else {
          if (!path.empty()) path += '.';
          path += name_in_path(name);
        }
        at = value.node_;
        break;
      }
      ++position;
    }
  }
  return path;
}

Kind Value::kind() const {
  return document_ == nullptr ? Kind::missing : document_->nodes_[node_].kind;
}

std::optional<bool> Value::boolean() const {
  if (kind() != Kind::boolean) return std::nullopt;
  return document_->nodes_[node_].truth;
}

std::optional<std::string_view> Value::string() const {
  if (kind() != Kind::string) return std::nullopt;
  return document_->text_of(document_->nodes_[node_]);
}

std::optional<std::string_view> Value::number() const {
  if (kind() != Kind::number) return std::nullopt;
  return document_->text_of(document_->nodes_[node_]);
}

std::optional<std::uint64_t> Value::uint64() const {
  const auto text = number();
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = text->data() + text->size();
  const auto result = std::from_chars(text->data(), end, value);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

Value Value::find(std::string_view name) const {
  if (kind() != Kind::object) return {};
  for (const auto& member : *this)
    if (member.name == name) return member.value;
  return {};
}

Value::Iterator Value::begin() const {
  const Kind mine = kind();
  if (mine != Kind::array && mine != Kind::object) return end();
  return {document_, node_ + 1, mine == Kind::object};
}

Value::Iterator Value::end() const {
  return {document_, document_ == nullptr ? 0 : document_->nodes_[node_].next, false};
}

Value::Member Value::Iterator::operator*() const {
  if (!named_) return {{}, Value(document_, node_)};
  return {document_->text_of(document_->nodes_[node_]), Value(document_, node_ + 1)};
}

Value::Iterator& Value::Iterator::operator++() {
  node_ = document_->nodes_[named_ ? node_ + 1 : node_].next;
  return *this;
}

}  // namespace vesper::json
