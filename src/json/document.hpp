// A validated JSON document, parsed completely: for the server's JSON inputs and for the command
// line. Accessors return a value or report that it is missing; they never convert types.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/problem.hpp"

namespace vesper::json {

class Document;

enum class Kind : std::uint8_t { missing, null, boolean, number, string, array, object };

// Refers to a value of a document, which must outlive it. Cheap to copy.
class Value {
 public:
  struct Member;
  class Iterator;

  Value() = default;

  Kind kind() const;
  bool exists() const { return kind() != Kind::missing; }

  std::optional<bool> boolean() const;
  std::optional<std::string_view> string() const;  // UTF-8, escapes resolved
  std::optional<std::string_view> number() const;  // the number's text, exactly as written
  // The value of a number that is written with digits only and fits.
  std::optional<std::uint64_t> uint64() const;

  // The member of that name. A missing value if there is no such member, or if this is not an
  // object.
  Value find(std::string_view name) const;
  // Iterates over the elements of an array or the members of an object. Any other value is empty.
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class Document;
  Value(const Document* document, std::uint32_t node) : document_(document), node_(node) {}

  const Document* document_ = nullptr;
  std::uint32_t node_ = 0;
};

class Document {
 public:
  struct Limits {
    std::size_t bytes = kMaxBody;
    std::size_t depth = kMaxDepth;
    std::size_t values = 1u << 20;  // including member names; 16 bytes of memory each
  };

  // Parses `text` and copies what it needs. Returns nothing if that succeeded. A duplicate member
  // is invalid_field with its path ("then[3].put.ttl"); every other problem is malformed.
  [[nodiscard]] std::optional<Problem> parse(std::string_view text, const Limits& limits);
  [[nodiscard]] std::optional<Problem> parse(std::string_view text) {
    return parse(text, Limits());
  }

  // Missing unless the last parse() succeeded.
  Value root() const { return nodes_.empty() ? Value() : Value(this, 0); }

 private:
  friend class Value;
  friend class Value::Iterator;
  friend class DocumentBuilder;

  // A value, directly followed by its content. A member is its name (a string), followed by its
  // value.
  struct Node {
    Kind kind = Kind::missing;
    bool truth = false;       // for a boolean
    std::uint32_t begin = 0;  // into text_; for a string or number
    std::uint32_t size = 0;
    std::uint32_t next = 0;  // the node after this value and all of its content
  };
  std::string_view text_of(const Node& node) const {
    return std::string_view(text_).substr(node.begin, node.size);
  }
  std::optional<Problem> duplicate() const;
  std::string path_of(std::uint32_t target) const;

  std::vector<Node> nodes_;
  std::string text_;  // of all strings and numbers
};

// A member's name in the path of a problem. Cuts a long name, so that a problem stays short
// whatever a client sends.
std::string name_in_path(std::string_view name);

struct Value::Member {
  std::string_view name;  // empty in an array
  Value value;
};

class Value::Iterator {
 public:
  Member operator*() const;
  Iterator& operator++();
  bool operator==(const Iterator& other) const { return node_ == other.node_; }

 private:
  friend class Value;
  Iterator(const Document* document, std::uint32_t node, bool named)
      : document_(document), node_(node), named_(named) {}

  const Document* document_;
  std::uint32_t node_;
  bool named_;
};

}  // namespace vesper::json
