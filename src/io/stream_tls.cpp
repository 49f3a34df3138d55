// The half of Stream that lies between the socket and plain text, if there is TLS.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "io/stream.hpp"

namespace vesper::io {
namespace {

using crypto::TlsSession;

constexpr char kHandshakeRecord = 0x16;  // RFC 8446 §5.1
// Bytes of the network that are decrypted between two looks at the budget.
constexpr std::size_t kSlice = 8u << 10;
// Bytes that are encrypted before the kernel has taken the earlier ones. The rest stays in shared
// slices.
constexpr std::size_t kSealWindow = 256u << 10;
constexpr std::size_t kKeepSealed = 32u << 10;  // of capacity, on an idle connection

}  // namespace

void Stream::secure(TlsSession session) {
  tls_.emplace(std::move(session));
}

void Stream::secure(TlsSession session, TlsBudget& budget) {
  secure(std::move(session));
  budget_ = &budget;
}

std::string Stream::why_failed(int code) const {
  return tls_failure_.empty() ? std::strerror(code) : "TLS: " + tls_failure_;
}

void Stream::begin_dialled() {
  if (!tls_) return;
  tls_->start();
  raw_read_start();
  flush_sealed();
}

// Little is read if it may have to wait, because it waits for each connection.
uv_buf_t Stream::read_room() {
  uv_buf_t room = loop_.read_buffer();
  const bool may_wait = budget_ != nullptr && (tls_->state() == TlsSession::State::handshaking ||
                                               !budget_->has_records());
  if (may_wait) room.len = std::min<std::size_t>(room.len, kSlice);
  return room;
}

// This may be called while bytes are handled that precede those that wait. So the latter are not
// handled here.
void Stream::leave_budget() {
  if (awaits_budget()) leaves_budget_ = true;
  else budget_ = nullptr;
}

// Nothing more is read until the budget has room.
void Stream::wait_for_budget(std::string_view bytes) {
  waiting_input_ = bytes;
  uv_read_stop(reinterpret_cast<uv_stream_t*>(&handle_->tcp));
  if (!std::exchange(is_waiting_, true)) budget_->wait(*this);
}

// The callers may have stopped reading meanwhile. Then read_start() waits for the budget again.
void Stream::resume_input() {
  is_waiting_ = false;
  if (handle_ == nullptr || !reading_) return;
  const std::string bytes = std::exchange(waiting_input_, {});
  if (leaves_budget_) budget_ = nullptr;
  raw_read_start();
  take(bytes);
}

// Returns the size of the plain text.
std::size_t Stream::unseal(std::string_view bytes, std::span<char> into) {
  std::size_t size = 0;
  tls_->feed(bytes);
  while (size < into.size()) {
    const std::size_t got = tls_->read(into.subspan(size));
    if (got == 0) break;
    size += got;
  }
  tls_->feed({});
  if (budget_ != nullptr) budget_->add_records(tls_->take_records());
  return size;
}

void Stream::take_sealed(std::string_view bytes) {
  const bool was_handshaking = tls_->state() == TlsSession::State::handshaking;
  if (budget_ != nullptr && was_handshaking) {
    if (bytes_in_ == bytes.size() && bytes.front() != kHandshakeRecord) {
      tls_.reset();
      budget_ = nullptr;
      is_plain_on_tls_ = true;
      return events_.bytes(bytes);
    }
    if (!budget_->take_handshake()) return wait_for_budget(bytes);
  }
  const std::span<char> buffer = loop_.plain_buffer();
  std::size_t size = 0;
  bool goes_on = true;
  while (goes_on && !bytes.empty() && (budget_ == nullptr || budget_->has_records())) {
    const std::string_view slice = budget_ == nullptr ? bytes : bytes.substr(0, kSlice);
    size += unseal(slice, buffer.subspan(size));
    bytes.remove_prefix(slice.size());
    goes_on =
        tls_->state() == TlsSession::State::handshaking || tls_->state() == TlsSession::State::open;
  }
  if (tls_->state() == TlsSession::State::failed) return fail_tls({});
  if (goes_on && !bytes.empty()) wait_for_budget(bytes);
  if (!tls_->output().empty() || !gathered_.empty() || was_handshaking) flush();
  if (size != 0 && handle_ != nullptr) events_.bytes({buffer.data(), size});
  if (handle_ == nullptr || tls_->state() != TlsSession::State::ended) return;
  read_stop();
  if (events_.ended) events_.ended();
}

// Output is encrypted as late as possible, so that one record holds what a turn has gathered.
void Stream::seal() {
  std::string& out = tls_->output();
  std::size_t done = 0;  // chunks
  while (done < gathered_.size() && out.size() < kSealWindow) {
    const Chunk& chunk = gathered_[done];
    const std::size_t text = chunk.text.size();
    std::string_view piece = sealed_ < text ? std::string_view(chunk.text).substr(sealed_)
                                            : chunk.shared.view().substr(sealed_ - text);
    piece = piece.substr(0, kSealWindow - out.size());
    tls_->write(piece);
    sealed_ += piece.size();
    if (sealed_ < text + chunk.shared.size()) continue;
    sealed_ = 0;
    ++done;
  }
  if (done == 1 && gathered_.size() == 1 && gathered_[0].text.capacity() <= kKeepSealed) {
    gathered_[0].text.clear();  // keep the buffer for the next turn
    gathered_[0].shared = {};
    return;
  }
  gathered_.erase(gathered_.begin(), gathered_.begin() + static_cast<std::ptrdiff_t>(done));
}

void Stream::flush_sealed() {
  while (handle_ != nullptr && !writing_) {
    const TlsSession::State state = tls_->state();
    const bool may_write = state == TlsSession::State::open || state == TlsSession::State::ended;
    if (may_write) seal();
    if (tls_->state() == TlsSession::State::failed) return fail_tls({});
    std::string& out = tls_->output();
    if (out.empty()) {
      if (queued() == 0) after_drain();
      return;
    }
    uv_buf_t buffer = uv_buf_init(out.data(), static_cast<unsigned>(out.size()));
    auto* stream = reinterpret_cast<uv_stream_t*>(&handle_->tcp);
    int taken = uv_try_write(stream, &buffer, 1);
    if (taken == UV_EAGAIN) taken = 0;
    if (taken < 0) return fail(taken);
    bytes_out_ += out.size();
    const auto left = static_cast<std::size_t>(taken);
    if (left == out.size()) {
      if (out.capacity() > kKeepSealed) out = std::string();
      else out.clear();
      continue;
    }
    std::vector<Chunk> flying;
    flying.push_back({std::exchange(out, {}), {}});
    std::string& rest = flying.front().text;
    buffer = uv_buf_init(rest.data() + left, static_cast<unsigned>(rest.size() - left));
    return start_write(std::move(flying), &buffer, 1);
  }
}

// Writes the closing message of TLS if the kernel has room for it. Without it, the other side would
// take the end of the connection for an attack.
void Stream::say_end() {
  tls_->end();
  std::string& out = tls_->output();
  if (out.empty() || writing_) return;
  const uv_buf_t buffer = uv_buf_init(out.data(), static_cast<unsigned>(out.size()));
  uv_try_write(reinterpret_cast<uv_stream_t*>(&handle_->tcp), &buffer, 1);
  out.clear();
}

void Stream::fail_tls(std::string_view otherwise) {
  const bool failed = tls_->state() == TlsSession::State::failed;
  if (!failed && tls_->state() == TlsSession::State::ended) return;  // ended() was reported
  tls_failure_ = failed ? tls_->error() : std::string(otherwise);
  std::string& alert = tls_->output();
  if (!alert.empty() && !writing_) {
    const uv_buf_t buffer = uv_buf_init(alert.data(), static_cast<unsigned>(alert.size()));
    uv_try_write(reinterpret_cast<uv_stream_t*>(&handle_->tcp), &buffer, 1);
    alert.clear();
  }
  fail(-EPROTO);
}

}  // namespace vesper::io
