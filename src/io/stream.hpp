// TCP streams, with or without TLS, and listeners. Input arrives as views; output is gathered and
// written once per flush. Protocols and policies are up to the callers.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/tls.hpp"
#include "io/address.hpp"
#include "io/delegate.hpp"
#include "io/loop.hpp"
#include "io/tls_budget.hpp"

namespace vesper::io {

// Called from the loop, or from within flush(). A callback may close the stream, but must not
// destroy it.
struct StreamEvents {
  Delegate<void, std::string_view> bytes;  // the view is valid until the callback returns
  Delegate<void> ended;                    // the other side sends no more; it may still read
  // An errno, which why_failed() explains. The stream is closed and reports nothing more.
  Delegate<void, int> failed;
  Delegate<void> drained;  // the kernel has taken the output that flush() could not write
};

class Listener;

class Stream {
 public:
  explicit Stream(Loop& loop);
  ~Stream() { close(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void set_events(StreamEvents events) { events_ = events; }

  // `done` receives 0 or an errno. There is no timeout; close() abandons the attempt.
  void connect(const Address& address, Delegate<void, int> done);

  // Puts TLS between the socket and the callers, who go on to handle plain text. Output waits for
  // the handshake. A connection that ends without the closing message of TLS has failed.
  // Of a stream that dials: call it before connect().
  void secure(crypto::TlsSession session);
  // Of a stream that was accepted: call it before read_start(). If the first byte is not that of a
  // handshake, the connection stays plain, and is_plain_on_tls() says so. `budget` must outlive
  // the stream.
  void secure(crypto::TlsSession session, TlsBudget& budget);
  // Bytes that were read wait for room in the budget.
  bool awaits_budget() const { return !waiting_input_.empty(); }
  // The other side is trusted from here on. Bytes that wait for the budget keep their turn.
  void leave_budget();
  bool is_plain_on_tls() const { return is_plain_on_tls_; }
  // Null if the connection is plain.
  const crypto::TlsSession* tls() const { return tls_ ? &*tls_ : nullptr; }
  // Frees what an idle connection does not need. It takes it again when it is used.
  void trim() {
    if (tls_) tls_->trim();
  }
  std::string why_failed(int code) const;

  // If sent data stays unacknowledged for this long, the connection fails with ETIMEDOUT (RFC
  // 5482). Call it after connect(). Has no effect on systems without this option.
  void fail_after(Duration unacknowledged);
  // Makes TCP probe an idle connection once a second. Without an answer, the connection fails
  // (ETIMEDOUT) after four seconds, or after the time given to fail_after().
  void keep_alive();

  void read_start();
  void read_stop();

  // Output is gathered until flush(). Append to text(). send() adds a shared slice without a copy.
  std::string& text();
  void send(SharedBytes bytes);
  // Adds a large text without a copy.
  void send(std::string text);
  // Writes the gathered output. What the kernel cannot take now is written as it gets room; then
  // `drained` is called.
  void flush();
  // Bytes that the kernel has not taken yet.
  std::size_t queued() const;
  // Closes the sending half once all gathered output is written. Gather nothing after this call.
  void finish();

  // Closes immediately and discards queued output. Does nothing if already closed.
  void close();
  bool is_open() const { return handle_ != nullptr; }
  // Closes with a TCP reset.
  void reset();

  // The address that was dialled, or from which the accepted connection came. It stays known after
  // the end. Not known if the other side had reset the connection before it was accepted.
  const Address& peer() const { return peer_; }
  Address local() const;
  // True if the other side is a process on this machine: it has a loopback address, or the address
  // at which this side was reached.
  bool is_from_this_machine() const { return peer_.is_loopback() || peer_.has_host_of(local()); }

  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const;  // taken by the kernel
  // Of bytes_out(), those that the peer's kernel has acknowledged. The kernel takes bytes only when
  // a third of its buffer is free, so on a slow link this count rises long before bytes_out() does.
  std::uint64_t bytes_acknowledged() const;
  // How long ago the peer's kernel acknowledged anything: data, or a probe of a peer that does not
  // read. While output waits, a live one does so at least every two minutes. Zero if unknown.
  Duration since_acknowledged() const;

 private:
  friend class Listener;
  friend class TlsBudget;
  // A text, followed by a shared slice.
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
    std::vector<Chunk> flying;  // the data of the write in progress
  };

  void on_read(ssize_t size, const uv_buf_t* buffer);
  void raw_read_start();
  void take(std::string_view bytes);
  void take_sealed(std::string_view bytes);
  uv_buf_t read_room();
  std::size_t unseal(std::string_view bytes, std::span<char> into);
  void wait_for_budget(std::string_view bytes);
  void resume_input();
  void begin_dialled();
  void learn_peer();
  void flush_sealed();
  void seal();
  void fail_tls(std::string_view otherwise);
  void say_end();
  void start_write(std::vector<Chunk> flying, uv_buf_t* buffers, unsigned count);
  void on_written(int status);
  void fail(int status);
  void after_drain();
  uv_tcp_t* let_go();
  static void on_closed(uv_handle_t* raw);

  Loop& loop_;
  StreamEvents events_;
  Delegate<void, int> on_connected_;
  Address peer_;
  Handle* handle_;  // null if closed; freed by its close callback
  std::vector<Chunk> gathered_;
  bool writing_ = false;
  bool finishing_ = false;
  bool finished_ = false;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;  // handed to libuv

  // ---- TLS (stream_tls.cpp)
  std::optional<crypto::TlsSession> tls_;
  TlsBudget* budget_ = nullptr;  // of an accepted stream
  std::string waiting_input_;    // what came while the turn had no room for its work
  bool is_waiting_ = false;      // for the budget
  bool leaves_budget_ = false;   // once waiting_input_ was handled
  std::size_t sealed_ = 0;       // bytes at the front of gathered_ that are encrypted already
  bool reading_ = false;         // between read_start() and read_stop()
  bool is_plain_on_tls_ = false;
  std::string tls_failure_;
};

class Listener {
 public:
  // `waiting` is called when accept() has a connection to take.
  Listener(Loop& loop, Delegate<void> waiting) : loop_(loop), waiting_(waiting) {}
  ~Listener() { close(); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds and listens on each address. Error::code is EADDRINUSE, EADDRNOTAVAIL, EACCES or another
  // errno.
  Result<void> listen(const std::vector<Address>& addresses, int backlog);
  // Takes one waiting connection and returns true, or returns false if there is none. To pause
  // accepting, do not call it: connections then wait in the kernel's queue.
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
