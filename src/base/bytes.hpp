// Shared immutable byte slices, and encoding and decoding of little-endian integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/assert.hpp"

namespace vesper {

// An immutable slice of a reference-counted buffer. Copying and slicing share the buffer. The count
// is a plain integer, so slices are confined to the loop's thread. A disk job on another thread may
// read the bytes, but neither copies nor drops slices there.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes& other)
      : block_(other.block_), data_(other.data_), size_(other.size_) {
    if (block_ != nullptr) ++block_->references;
  }
  SharedBytes(SharedBytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedBytes() { release(); }

  static SharedBytes copy_of(std::string_view bytes) {
    return make(bytes.size(), [&](char* out) {
      if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
    });
  }

  // Makes one allocation of `size` bytes and lets `fill(char* out)` fill it.
  template <typename Fill>
  static SharedBytes make(std::size_t size, Fill&& fill) {
    SharedBytes bytes;
    if (size == 0) return bytes;
    bytes.block_ = allocate(size);
    char* out = reinterpret_cast<char*>(bytes.block_ + 1);
    fill(out);
    bytes.data_ = out;
    bytes.size_ = size;
    return bytes;
  }

  // A slice of the same buffer. Requires offset + size <= this->size().
  SharedBytes slice(std::size_t offset, std::size_t size) const {
    VESPER_ASSERT(offset <= size_);
    VESPER_ASSERT(size <= size_ - offset);
    SharedBytes part;
    if (size == 0) return part;
    part = *this;
    part.data_ += offset;
    part.size_ = size;
    return part;
  }

  const char* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  // The size of the whole buffer that this slice keeps alive. To keep a small part of a large
  // buffer for long, copy it instead.
  std::size_t buffer_size() const { return block_ == nullptr ? 0 : block_->size; }

  friend bool operator==(const SharedBytes& a, const SharedBytes& b) {
    return a.view() == b.view();
  }

 private:
  struct Block {
    std::size_t references;
    std::size_t size;  // of the bytes after the block
  };
  static Block* allocate(std::size_t size);
  void release();

  Block* block_ = nullptr;  // null exactly if size_ is 0
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

// A buffer of known size that is filled in parts and then becomes SharedBytes.
class BytesBuilder {
 public:
  explicit BytesBuilder(std::size_t size)
      : bytes_(SharedBytes::make(size, [this](char* out) { at_ = out; })), missing_(size) {}

  std::size_t missing() const { return missing_; }
  // Requires part.size() <= missing().
  void add(std::string_view part) {
    VESPER_ASSERT(part.size() <= missing_);
    if (part.empty()) return;
    std::memcpy(at_, part.data(), part.size());
    at_ += part.size();
    missing_ -= part.size();
  }
  // Requires missing() == 0.
  SharedBytes finish() {
    VESPER_ASSERT(missing_ == 0);
    return std::move(bytes_);
  }

 private:
  char* at_ = nullptr;
  SharedBytes bytes_;
  std::size_t missing_;
};

// Appends little-endian integers and bytes to a string that it borrows.
class ByteWriter {
 public:
  explicit ByteWriter(std::string& out) : out_(out) {}

  void u8(std::uint8_t v) { put(v); }
  void u16(std::uint16_t v) { put(v); }
  void u32(std::uint32_t v) { put(v); }
  void u64(std::uint64_t v) { put(v); }
  void i64(std::int64_t v) { put(static_cast<std::uint64_t>(v)); }
  void bytes(std::string_view v) { out_.append(v); }
  // u32 length, then the bytes. Requires v.size() < 2^32.
  void string(std::string_view v) {
    VESPER_ASSERT(v.size() <= UINT32_MAX);
    u32(static_cast<std::uint32_t>(v.size()));
    bytes(v);
  }
  std::size_t size() const { return out_.size(); }

 private:
  template <typename T>
  void put(T v) {
    char raw[sizeof(T)];
    for (std::size_t i = 0; i < sizeof(T); ++i) raw[i] = static_cast<char>(v >> (8 * i));
    out_.append(raw, sizeof(T));
  }
  std::string& out_;
};

// Reads little-endian integers and bytes from a view that it borrows. A read past the end returns
// zero or an empty view and makes ok() false permanently, so that a decoder needs only one check at
// its end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}

  std::uint8_t u8() { return get<std::uint8_t>(); }
  std::uint16_t u16() { return get<std::uint16_t>(); }
  std::uint32_t u32() { return get<std::uint32_t>(); }
  std::uint64_t u64() { return get<std::uint64_t>(); }
  std::int64_t i64() { return static_cast<std::int64_t>(get<std::uint64_t>()); }
  std::string_view bytes(std::size_t size) {
    if (size > remaining()) {
      fail();
      return {};
    }
    const std::string_view v = in_.substr(at_, size);
    at_ += size;
    return v;
  }
  // u32 length, then the bytes. Fails if the length is above `limit`.
  std::string_view string(std::size_t limit) {
    const std::uint32_t size = u32();
    if (size > limit) {
      fail();
      return {};
    }
    return bytes(size);
  }
  void fail() {
    ok_ = false;
    at_ = in_.size();
  }

  bool ok() const { return ok_; }
  bool at_end() const { return at_ == in_.size(); }
  std::size_t offset() const { return at_; }
  std::size_t remaining() const { return in_.size() - at_; }

 private:
  template <typename T>
  T get() {
    if (remaining() < sizeof(T)) {
      fail();
      return 0;
    }
    std::uint64_t v = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      v |= static_cast<std::uint64_t>(static_cast<unsigned char>(in_[at_ + i])) << (8 * i);
    at_ += sizeof(T);
    return static_cast<T>(v);
  }

  std::string_view in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// Escapes user input for log lines and errors: printable ASCII is unchanged, other bytes become \n,
// \t, \\ or \xNN. Input longer than `limit` bytes is cut, with "..." appended.
std::string escaped(std::string_view bytes, std::size_t limit = 80);

}  // namespace vesper
