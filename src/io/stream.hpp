// TCP: bytes in as views, gathered buffers out, one write per flush; and the socket that listens.
// No protocol and no policy in here.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "io/address.hpp"
#include "io/delegate.hpp"
#include "io/loop.hpp"

namespace vesper::io {

// Called from the loop, or from within flush(). The stream may be closed in any of them, but it is
// destroyed only after they have returned.
struct StreamEvents {
  Delegate<void, std::string_view> bytes;  // the view is good until it returns
  Delegate<void> ended;                    // the other side sends no more; it may still read
  Delegate<void, int> failed;              // errno; the stream is closed, nothing comes after this
  Delegate<void> drained;                  // what flush() had to leave has been taken by the kernel
};

class Listener;

class Stream {
 public:
  explicit Stream(Loop& loop);
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void set_events(StreamEvents events) { events_ = events; }

  // `done` gets 0 or an errno. There is no deadline in here: close() abandons the attempt.
  void connect(const Address& address, Delegate<void, int> done);

  // What was sent and is not acknowledged for this long ends the connection, ETIMEDOUT (RFC 5482).
  // Behind connect(); no more than a wish where the system does not know it.
  void fail_after(Duration unacknowledged);
  // TCP asks an idle connection once a second whether its other end lives. When nothing answers,
  // the connection fails (ETIMEDOUT) after four seconds, or after what fail_after() says.
  void keep_alive();

  void read_start();
  void read_stop();

  // Output gathers until flush(). Append to text(); send() shares the slice, without a copy.
  std::string& text();
  void send(SharedBytes bytes);
  // Hands over what was gathered. The kernel takes it now, or the rest as it has room: `drained`.
  void flush();
  // Bytes that the kernel has not taken.
  std::size_t queued() const;
  // Our half ends when everything gathered is out. Nothing may be gathered after it.
  void finish();

  // At once; what is queued is lost. Harmless when closed already.
  void close();
  bool is_open() const { return handle_ != nullptr; }
  // A close that the other side sees as a reset.
  void reset();

  Address peer() const;  // requires a connection
  Address local() const;

  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const;  // that the kernel has taken

 private:
  friend class Listener;
  // The text, then the slice behind it.
  struct Chunk {
    std::string text;
    SharedBytes shared;
  };
  struct Handle {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    uv_shutdown_t shutdown;
    Stream* owner;
    std::vector<Chunk> flying;  // what the write under way reads
  };

  void on_read(ssize_t size, const uv_buf_t* buffer);
  void on_written(int status);
  void fail(int status);
  void after_drain();
  uv_tcp_t* let_go();
  static void on_closed(uv_handle_t* raw);

  Loop& loop_;
  StreamEvents events_;
  Delegate<void, int> on_connected_;
  Handle* handle_;  // null when closed; freed by its close callback
  std::vector<Chunk> gathered_;
  bool writing_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;  // given to libuv
};

class Listener {
 public:
  // `waiting`: accept() has something to take.
  Listener(Loop& loop, Delegate<void> waiting) : loop_(loop), waiting_(waiting) {}
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds and listens on each. Error::code: EADDRINUSE, EADDRNOTAVAIL, EACCES ...
  Result<void> listen(const std::vector<Address>& addresses, int backlog);
  // Takes one waiting connection, or none. What is not taken waits, and the kernel's queue behind
  // it: that is how accepting pauses.
  bool accept(Stream& into);
  void close();

 private:
  struct Socket {
    uv_tcp_t tcp;
    Listener* owner;
    bool waiting = false;
  };
  Loop& loop_;
  Delegate<void> waiting_;
  std::vector<Socket*> sockets_;  // each freed by its close callback
};

}  // namespace vesper::io
