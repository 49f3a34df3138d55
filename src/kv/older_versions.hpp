// The versions of one key that newer ones have replaced, oldest first. Compaction removes them from
// the front.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "kv/version.hpp"

namespace vesper::kv {

class OlderVersions {
 public:
  OlderVersions() = default;
  OlderVersions(OlderVersions&& other) noexcept : word_(std::exchange(other.word_, 0)) {}
  OlderVersions& operator=(OlderVersions&& other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~OlderVersions() {
    if (is_several()) delete &several();
    else VersionRef::adopt(only());
  }

  bool empty() const { return word_ == 0; }
  std::size_t size() const { return is_several() ? several().size() : empty() ? 0 : 1; }
  // Requires !empty().
  const Version& oldest() const { return at(0); }
  const Version& newest() const { return at(size() - 1); }
  // The i-th, oldest first. Requires i < size().
  const Version& at(std::size_t i) const { return is_several() ? several().at(i) : *only(); }

  // Requires a revision above those of all versions here.
  void add(VersionRef version) {
    if (empty()) {
      word_ = reinterpret_cast<std::uintptr_t>(version.release());
      VESPER_ASSERT(!is_several());
      return;
    }
    if (!is_several()) {
      auto* several = new Several(VersionRef::adopt(only()));
      word_ = reinterpret_cast<std::uintptr_t>(several) | kSeveral;
    }
    several().add(std::move(version));
  }
  // Removes the oldest one. Requires !empty().
  void remove_oldest() {
    if (size() == 1) *this = OlderVersions();
    else several().remove_oldest();
  }

  // How many of these versions have a revision of at most `revision`.
  std::size_t count_up_to(std::uint64_t revision) const {
    std::size_t low = 0, high = size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (at(middle).revision() <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  // The newest version with a revision of at most `revision`; null if there is none.
  const Version* find(std::uint64_t revision) const {
    const std::size_t count = count_up_to(revision);
    return count == 0 ? nullptr : &at(count - 1);
  }

 private:
  class Several {
   public:
    explicit Several(VersionRef first) { few_.push_back(std::move(first)); }

    std::size_t size() const { return many_ ? many_->size() : few_.size() - head_; }
    const Version& at(std::size_t i) const { return many_ ? *(*many_)[i] : *few_[head_ + i]; }
    void add(VersionRef version) {
      if (!many_ && size() == kFew) use_deque();
      if (many_) many_->push_back(std::move(version));
      else few_.push_back(std::move(version));
    }
    // In a vector, the space is reused or freed once half of it is unused, so that each call costs
    // O(1) on average.
    void remove_oldest() {
      if (many_) {
        many_->pop_front();
        return;
      }
      few_[head_++] = VersionRef();
      if (head_ < few_.size() - head_) return;
      std::vector<VersionRef> left(std::make_move_iterator(begin()),
                                   std::make_move_iterator(few_.end()));
      few_ = std::move(left);
      head_ = 0;
    }

   private:
    // A vector is small, but a key that is overwritten a million times would stall the loop each
    // time that it grows or shrinks. From this size on, the versions are in a deque.
    static constexpr std::size_t kFew = 1024;

    void use_deque() {
      many_ = std::make_unique<std::deque<VersionRef>>(std::make_move_iterator(begin()),
                                                       std::make_move_iterator(few_.end()));
      few_ = {};
      head_ = 0;
    }
    std::vector<VersionRef>::iterator begin() {
      return few_.begin() + static_cast<std::ptrdiff_t>(head_);
    }

    std::vector<VersionRef> few_;
    std::size_t head_ = 0;                          // the elements of few_ before it are unused
    std::unique_ptr<std::deque<VersionRef>> many_;  // null: few_ has them all
  };

  static constexpr std::uintptr_t kSeveral = 1;

  bool is_several() const { return (word_ & kSeveral) != 0; }
  Several& several() const { return *reinterpret_cast<Several*>(word_ & ~kSeveral); }
  const Version* only() const { return reinterpret_cast<const Version*>(word_); }

  // A key takes memory for what it has: 0 if there are no older versions, the address of the only
  // one, or kSeveral and the address of a Several.
  std::uintptr_t word_ = 0;
};

}  // namespace vesper::kv
