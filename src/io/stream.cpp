// The TCP half of Stream, and Listener. stream_tls.cpp is the other half.
#include "io/stream.hpp"

#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vesper::io {
namespace {

constexpr std::size_t kKeepText = 16u << 10;  // bytes of capacity that an idle connection may keep
constexpr std::size_t kStackBuffers = 16;

uv_stream_t* as_stream(uv_tcp_t* tcp) {
  return reinterpret_cast<uv_stream_t*>(tcp);
}

uv_buf_t buffer_of(std::string_view bytes) {
  return uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
}

}  // namespace

Stream::Stream(Loop& loop) : loop_(loop), handle_(new Handle{}) {
  handle_->owner = this;
  uv_tcp_init(loop.raw(), &handle_->tcp);
  handle_->tcp.data = handle_;
}

void Stream::connect(const Address& address, Delegate<void, int> done) {
  on_connected_ = done;
  peer_ = address;
  handle_->connect.data = handle_;
  const int status = uv_tcp_connect(&handle_->connect, &handle_->tcp, address.raw(),
                                    [](uv_connect_t* request, int result) {
                                      Stream* owner = static_cast<Handle*>(request->data)->owner;
                                      if (owner == nullptr) return;
                                      if (result == 0) uv_tcp_nodelay(&owner->handle_->tcp, 1);
                                      if (result == 0) owner->begin_dialled();
                                      if (owner->is_open()) owner->on_connected_(-result);
                                    });
  if (status != 0) done(-status);
}

void Stream::fail_after(Duration unacknowledged) {
#ifdef TCP_USER_TIMEOUT
  uv_os_fd_t fd = -1;
  if (handle_ == nullptr || uv_fileno(reinterpret_cast<uv_handle_t*>(&handle_->tcp), &fd) != 0)
    return;
  const auto ms = static_cast<unsigned>(unacknowledged.ms());
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
#else
  static_cast<void>(unacknowledged);
#endif
}

void Stream::keep_alive() {
  uv_os_fd_t fd = -1;
  if (handle_ == nullptr || uv_fileno(reinterpret_cast<uv_handle_t*>(&handle_->tcp), &fd) != 0)
    return;
  uv_tcp_keepalive(&handle_->tcp, 1, 1);
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
  const int interval = 1, count = 3;
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
#endif
}

void Stream::read_start() {
  if (handle_ == nullptr) return;  // closed: the budget must not remember it
  reading_ = true;
  if (waiting_input_.empty()) return raw_read_start();
  if (!std::exchange(is_waiting_, true)) budget_->wait(*this);
}

void Stream::raw_read_start() {
  if (handle_ == nullptr) return;
  uv_read_start(
      as_stream(&handle_->tcp),
      [](uv_handle_t* raw, std::size_t, uv_buf_t* buffer) {
        Stream* owner = static_cast<Handle*>(raw->data)->owner;
        *buffer = owner != nullptr ? owner->read_room() : uv_buf_init(nullptr, 0);
      },
      [](uv_stream_t* raw, ssize_t size, const uv_buf_t* buffer) {
        Stream* owner = static_cast<Handle*>(raw->data)->owner;
        if (owner != nullptr) owner->on_read(size, buffer);
      });
}

void Stream::read_stop() {
  reading_ = false;
  if (handle_ != nullptr) uv_read_stop(as_stream(&handle_->tcp));
}

void Stream::on_read(ssize_t size, const uv_buf_t* buffer) {
  if (size == 0) return;
  if (size == UV_EOF) {
    read_stop();
    if (tls_) return fail_tls("the connection was cut off");
    if (events_.ended) events_.ended();
    return;
  }
  if (size < 0) {
    fail(static_cast<int>(size));
    return;
  }
  bytes_in_ += static_cast<std::uint64_t>(size);
  take(std::string_view(buffer->base, static_cast<std::size_t>(size)));
}

void Stream::take(std::string_view bytes) {
  if (tls_) return take_sealed(bytes);
  events_.bytes(bytes);
}

std::string& Stream::text() {
  if (gathered_.empty() || !gathered_.back().shared.empty()) gathered_.emplace_back();
  return gathered_.back().text;
}

void Stream::send(SharedBytes bytes) {
  if (bytes.empty()) return;
  text();
  gathered_.back().shared = std::move(bytes);
}

void Stream::send(std::string text) {
  if (!text.empty()) gathered_.push_back({std::move(text), {}});
}

std::size_t Stream::queued() const {
  std::size_t bytes =
      handle_ == nullptr ? 0 : uv_stream_get_write_queue_size(as_stream(&handle_->tcp));
  for (const Chunk& chunk : gathered_) bytes += chunk.text.size() + chunk.shared.size();
  if (tls_) bytes += tls_->output().size() - sealed_;
  return bytes;
}

std::uint64_t Stream::bytes_out() const {
  const std::size_t waiting =
      handle_ == nullptr ? 0 : uv_stream_get_write_queue_size(as_stream(&handle_->tcp));
  return bytes_out_ - waiting;
}

std::uint64_t Stream::bytes_acknowledged() const {
  const std::uint64_t taken = bytes_out();
  uv_os_fd_t fd = -1;
  int unacknowledged = 0;
  if (handle_ == nullptr || uv_fileno(reinterpret_cast<uv_handle_t*>(&handle_->tcp), &fd) != 0)
    return taken;
#ifdef TIOCOUTQ
  if (ioctl(fd, TIOCOUTQ, &unacknowledged) != 0 || unacknowledged < 0) return taken;
#endif
  return taken - std::min(taken, static_cast<std::uint64_t>(unacknowledged));
}

Duration Stream::since_acknowledged() const {
  uv_os_fd_t fd = -1;
  if (handle_ == nullptr || uv_fileno(reinterpret_cast<uv_handle_t*>(&handle_->tcp), &fd) != 0)
    return {};
#ifdef __linux__
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
    return milliseconds(info.tcpi_last_ack_recv);
#endif
  return {};
}

void Stream::flush() {
  if (handle_ == nullptr) gathered_.clear();
  if (handle_ == nullptr || writing_) return;
  if (tls_) return flush_sealed();
  uv_buf_t on_stack[kStackBuffers];
  std::vector<uv_buf_t> on_heap;
  uv_buf_t* buffers = on_stack;
  if (gathered_.size() * 2 > kStackBuffers) {
    on_heap.resize(gathered_.size() * 2);
    buffers = on_heap.data();
  }
  unsigned count = 0;
  std::size_t total = 0;
  for (const Chunk& chunk : gathered_) {
    if (!chunk.text.empty()) buffers[count++] = buffer_of(chunk.text);
    if (!chunk.shared.empty()) buffers[count++] = buffer_of(chunk.shared.view());
    total += chunk.text.size() + chunk.shared.size();
  }
  if (count == 0) return after_drain();
  int taken = uv_try_write(as_stream(&handle_->tcp), buffers, count);
  if (taken == UV_EAGAIN) taken = 0;
  if (taken < 0) return fail(taken);
  bytes_out_ += total;
  auto left = static_cast<std::size_t>(taken);
  if (left == total) {
    // Usually everything was written. Keep the buffer for the next turn unless it has grown large.
    if (gathered_.size() == 1 && gathered_[0].text.capacity() <= kKeepText) {
      gathered_[0].text.clear();
      gathered_[0].shared = {};
    } else {
      gathered_.clear();
    }
    return after_drain();
  }
  unsigned first = 0;
  while (left >= buffers[first].len) left -= buffers[first++].len;
  buffers[first].base += left;
  buffers[first].len -= left;
  // The pending buffers point into the chunks. Moving the vector does not move its elements, so
  // even a short text stored inside its string object stays in place.
  start_write(std::exchange(gathered_, {}), buffers + first, count - first);
}

void Stream::start_write(std::vector<Chunk> flying, uv_buf_t* buffers, unsigned count) {
  handle_->flying = std::move(flying);
  writing_ = true;
  handle_->write.data = handle_;
  const int status = uv_write(&handle_->write, as_stream(&handle_->tcp), buffers, count,
                              [](uv_write_t* request, int result) {
                                auto* handle = static_cast<Handle*>(request->data);
                                handle->flying.clear();
                                if (handle->owner != nullptr) handle->owner->on_written(result);
                              });
  if (status != 0) fail(status);
}

void Stream::on_written(int status) {
  writing_ = false;
  if (status != 0) return fail(status);
  flush();
  if (handle_ != nullptr && !writing_ && events_.drained) events_.drained();
}

void Stream::finish() {
  finishing_ = true;
  if (!writing_ && queued() == 0) after_drain();
}

void Stream::after_drain() {
  if (!finishing_ || finished_ || handle_ == nullptr) return;
  finished_ = true;
  if (tls_) {
    tls_->end();
    flush_sealed();
  }
  if (handle_ == nullptr) return;
  handle_->shutdown.data = handle_;
  uv_shutdown(&handle_->shutdown, as_stream(&handle_->tcp), [](uv_shutdown_t*, int) {});
}

void Stream::fail(int status) {
  close();
  if (events_.failed) events_.failed(-status);
}

// Detaches the handle, so that none of its callbacks reaches this object. Null if already closed.
uv_tcp_t* Stream::let_go() {
  if (handle_ == nullptr) return nullptr;
  Handle* handle = std::exchange(handle_, nullptr);
  handle->owner = nullptr;
  if (is_waiting_) budget_->leave(*this);
  is_waiting_ = false;
  gathered_.clear();
  sealed_ = 0;
  writing_ = false;
  return &handle->tcp;
}

void Stream::on_closed(uv_handle_t* raw) {
  delete static_cast<Handle*>(raw->data);
}

void Stream::close() {
  if (tls_ && handle_ != nullptr && !finished_ && queued() == 0) say_end();
  if (uv_tcp_t* tcp = let_go()) uv_close(reinterpret_cast<uv_handle_t*>(tcp), on_closed);
}

void Stream::reset() {
  uv_tcp_t* tcp = let_go();
  if (tcp != nullptr && uv_tcp_close_reset(tcp, on_closed) != 0)
    uv_close(reinterpret_cast<uv_handle_t*>(tcp), on_closed);
}

// The kernel forgets the address when a reset arrives, so it is asked at once.
void Stream::learn_peer() {
  sockaddr_storage storage{};
  int size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (uv_tcp_getpeername(&handle_->tcp, address, &size) == 0) peer_ = Address(address);
}

Address Stream::local() const {
  sockaddr_storage storage{};
  int size = sizeof storage;
  if (handle_ != nullptr)
    uv_tcp_getsockname(&handle_->tcp, reinterpret_cast<sockaddr*>(&storage), &size);
  return Address(reinterpret_cast<const sockaddr*>(&storage));
}

Result<void> Listener::listen(const std::vector<Address>& addresses, int backlog) {
  for (const Address& address : addresses) {
    auto* socket = new Socket{{}, this};
    uv_tcp_init(loop_.raw(), &socket->tcp);
    socket->tcp.data = socket;
    sockets_.push_back(socket);
    // A v6 socket that also accepts v4 would conflict with the v4 address of the same name.
    const bool v6_only = address.is_v6() && addresses.size() > 1;
    int status = uv_tcp_bind(&socket->tcp, address.raw(), v6_only ? unsigned{UV_TCP_IPV6ONLY} : 0U);
    if (status == 0)
      status = uv_listen(as_stream(&socket->tcp), backlog, [](uv_stream_t* raw, int result) {
        auto* waiting = static_cast<Socket*>(raw->data);
        if (result != 0 || waiting->owner == nullptr) return;
        waiting->waiting = true;
        waiting->owner->waiting_();
      });
    if (status != 0)
      return Error{fmt::format("cannot listen on {}: {}", address.to_string(), uv_strerror(status)),
                   -status};
  }
  return {};
}

bool Listener::accept(Stream& into) {
  for (Socket* socket : sockets_) {
    if (!socket->waiting) continue;
    socket->waiting = false;
    if (uv_accept(as_stream(&socket->tcp), as_stream(&into.handle_->tcp)) != 0) continue;
    uv_tcp_nodelay(&into.handle_->tcp, 1);
    into.learn_peer();
    return true;
  }
  return false;
}

void Listener::close() {
  for (Socket* socket : std::exchange(sockets_, {})) {
    socket->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&socket->tcp),
             [](uv_handle_t* raw) { delete static_cast<Socket*>(raw->data); });
  }
}

}  // namespace vesper::io
