// A callback that consists of an object and one of its member functions. It needs no ownership,
// allocation or virtual call. The object must outlive every delegate to it.
#pragma once

#include <utility>

namespace vesper::io {

template <typename R, typename... Args>
class Delegate {
 public:
  Delegate() = default;

  // Delegate<void, int>::to<&Thing::on_number>(&thing)
  template <auto Method, typename T>
  static Delegate to(T* object) {
    Delegate delegate;
    delegate.object_ = object;
    delegate.call_ = [](void* raw, Args... args) -> R {
      return (static_cast<T*>(raw)->*Method)(std::forward<Args>(args)...);
    };
    return delegate;
  }

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }
  explicit operator bool() const { return call_ != nullptr; }

 private:
  void* object_ = nullptr;
  R (*call_)(void*, Args...) = nullptr;
};

}  // namespace vesper::io
