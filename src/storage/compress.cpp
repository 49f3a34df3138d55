#include "storage/compress.hpp"

#include <fmt/core.h>
#include <zstd.h>

#include "base/assert.hpp"

namespace vesper::storage {
namespace {

// Compression runs on the loop's thread. Level 1 takes half a millisecond for a chunk.
constexpr int kLevel = 1;

}  // namespace

struct Zstd::Contexts {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> out;
  std::unique_ptr<ZSTD_DCtx, Free> in;
};

Zstd::Zstd() : contexts_(std::make_unique<Contexts>()) {}
Zstd::~Zstd() = default;

void Zstd::compress(std::string_view bytes, std::string& out) {
  if (contexts_->out == nullptr) contexts_->out.reset(ZSTD_createCCtx());
  VESPER_ASSERT(contexts_->out != nullptr);
  const std::size_t before = out.size();
  out.resize(before + ZSTD_compressBound(bytes.size()));
  const std::size_t size =
      ZSTD_compressCCtx(contexts_->out.get(), out.data() + before, out.size() - before,
                        bytes.data(), bytes.size(), kLevel);
  // The bound suffices. Running out of memory is fatal.
  VESPER_ASSERT(ZSTD_isError(size) == 0);
  out.resize(before + size);
}

Result<std::string> Zstd::decompress(std::string_view bytes, std::size_t size) {
  if (contexts_->in == nullptr) contexts_->in.reset(ZSTD_createDCtx());
  VESPER_ASSERT(contexts_->in != nullptr);
  std::string out(size, '\0');
  const std::size_t got =
      ZSTD_decompressDCtx(contexts_->in.get(), out.data(), out.size(), bytes.data(), bytes.size());
  if (ZSTD_isError(got) != 0) return Error{fmt::format("zstd: {}", ZSTD_getErrorName(got))};
  if (got != size) return Error{fmt::format("zstd: {} bytes, {} expected", got, size)};
  return out;
}

}  // namespace vesper::storage
