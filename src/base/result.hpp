// Operating errors as values: a Result<T> is a T or an Error. Vesper throws no exceptions.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/assert.hpp"

namespace vesper {

// An operating error, worded for people: what was wrong, where, and what to do. `code` is an errno
// value if the system gave one, else 0.
struct Error {
  std::string what;
  int code = 0;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(const T& value) : state_(std::in_place_index<0>, value) {}
  Result(T&& value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    VESPER_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    VESPER_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    VESPER_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    VESPER_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    VESPER_ASSERT(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    VESPER_ASSERT(!ok());
    return *error_;
  }
  Error&& error() && {
    VESPER_ASSERT(!ok());
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace vesper
