// What a world schedules: each action has a place in its queue of events (event_queue.hpp), and
// World::Dispatch says what it does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/time.hpp"
#include "raft/types.hpp"

namespace vesper::sim {

struct Actions {
  struct Deliver {
    std::uint32_t from, to;  // places
    std::size_t drive;       // of the sender
    raft::ServerId number;   // of the sender, as the receiver knows it
    std::uint64_t epoch, to_boot;
    raft::Incarnation incarnation;
    Instant followed;  // in a reply to a follower's read: the instant that its leader could prove
    std::string bytes;
  };
  struct Turn {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Disk {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Wake {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Dial {
    std::size_t from, to;
    std::uint64_t boot;
  };
  struct Reset {
    std::size_t from, to;
    std::uint64_t epoch;
  };
  struct ClientStep {
    std::size_t client;
  };
  struct Poke {
    std::size_t client;
    bool leader_lease = false;  // a lease read
    bool reads_on = false;      // the next of a series of reads
  };
  struct PageOn {
    std::size_t client;
    std::uint64_t pages;
  };
  struct StreamOn {
    std::uint64_t reading;
  };
  struct WatchOn {
    std::size_t watcher;
  };
  struct Insist {
    std::size_t client;
    bool fresh;  // a new keyed write; otherwise a retry of an earlier one
  };
  struct Hang {};
  struct Lull {};
  struct NextFault {};
  struct Restart {
    std::size_t host;
  };
  struct Resume {
    std::size_t host;
  };
  struct Shut {
    std::size_t host;
    std::uint64_t boot;
  };
  enum class Crash : std::uint8_t { process, power };
  struct Kill {
    std::size_t host;
    std::uint64_t boot;
    Crash how;
  };
  struct Strike {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Spring {
    std::size_t host;
    std::uint64_t boot;
  };
  struct Undo {
    std::size_t fault;
  };
  struct BringBack {
    std::size_t host;
  };
  struct Clear {
    std::size_t host;
  };
  struct NextCopy {};
  struct Upgrade {
    std::size_t host;
  };
  struct Poll {};
  struct Pump {
    std::size_t from, to;
  };
  struct Sample {};
  using Action =
      std::variant<Deliver, Turn, Disk, Wake, Dial, Reset, ClientStep, Poke, Insist, Hang, Lull,
                   NextFault, Restart, Resume, Shut, Kill, Strike, Spring, Undo, Poll, Sample, Pump,
                   PageOn, StreamOn, WatchOn, BringBack, Clear, NextCopy, Upgrade>;
};

}  // namespace vesper::sim
